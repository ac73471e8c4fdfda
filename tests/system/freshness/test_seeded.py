"""The histories find faults: with each of these, some answer is wrong."""

import subprocess

import pytest
from support.checkout import module, module_variables

from .seeded import OF_THE_READER, OF_THE_TOOL, faulty_reader, faulty_tool

MOST = 40000  # checked reads until a fault must have been found


def assert_found(options):
    command = [*module("system.freshness"), "--count", str(MOST), "--seed", "500", "--shrink", "0", *options]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env=module_variables(), timeout=300
    )
    assert run.returncode == 1, f"not found: {run.stdout}{run.stderr}"
    assert "\nseed " in run.stdout, f"found otherwise than by an answer: {run.stdout}{run.stderr}"


@pytest.mark.parametrize("fault", OF_THE_READER)
def test_a_fault_of_the_reader_is_found(tmp_path, fault, epcache):
    options, edits = OF_THE_READER[fault]
    assert_found([*options, "--package", faulty_reader(edits, tmp_path), "--epcache", epcache])


@pytest.mark.parametrize("fault", OF_THE_TOOL)
def test_a_fault_of_the_tool_is_found(tmp_path, fault):
    options, edits = OF_THE_TOOL[fault]
    assert_found([*options, "--epcache", faulty_tool(edits, tmp_path)])
