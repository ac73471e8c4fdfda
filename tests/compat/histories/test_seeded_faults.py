"""The histories find faults: with each of these, some answer differs."""

import subprocess

import pytest
from support.checkout import module, module_variables

from .faults import FAULTS, faulty
from .processes import READER

MOST = 600  # histories until a fault must have been found; most take a few dozen


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_found(tmp_path, fault):
    options, edits = FAULTS[fault]
    faulty(READER, edits, tmp_path)
    command = [*module("compat.histories"), "--count", str(MOST), "--seed", "77000", "--package", tmp_path]
    command += [
        "--failures",
        "1",
        "--shrink",
        "0",
        *(options if "--python" in options else [*options, "--python", "3.12"]),
    ]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env=module_variables(), timeout=300
    )
    assert run.returncode == 1, f"not found: {run.stdout}{run.stderr}"
    assert run.stdout.startswith("seed "), f"found otherwise than by an answer: {run.stdout}{run.stderr}"
    assert '"an answer"' not in run.stdout, f"the faulty package does not even run: {run.stdout}"
    print(run.stdout)
