"""Histories that once gave a wrong answer."""

import pathlib
import subprocess

from support.checkout import module, module_variables

HERE = pathlib.Path(__file__).parent


def test_known_histories_are_answered_correctly():
    known = sorted(HERE.glob("known/*.json"))
    assert known
    # On tmpfs the order of a listing is deterministic.
    command = [*module("compat.histories"), "--shrink", "0", "--directory", "/dev/shm", "--replay", *known]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env=module_variables(), timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(known)} histories" in run.stdout
