"""Histories that once gave wrong answers, and what each of them shows."""

import pathlib
import subprocess

import pytest
from support.checkout import module, module_variables

HERE = pathlib.Path(__file__).parent
KNOWN = sorted((HERE / "known").glob("*.json"))


@pytest.mark.parametrize("path", KNOWN, ids=[path.stem for path in KNOWN])
def test_a_known_history_is_answered_correctly(path, epcache):
    command = [*module("system.freshness"), "--replay", path, "--epcache", epcache]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env=module_variables(), timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "\n0 reads" not in run.stdout or "not on this machine" in run.stdout, run.stdout


def test_an_index_made_in_the_middle_of_an_installation_gives_no_wrong_answer(epcache):
    command = [*module("system.freshness"), "--interrupted", "--on", "tmpfs", "--epcache", epcache]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env=module_variables(), timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "'histories': 1692" in run.stdout, run.stdout
