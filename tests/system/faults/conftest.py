"""Faults at every system call, power cuts, and concurrent processes. See docs/internals/testing.md.

Run as ``python -m pytest tests/system/faults``, by root: system-wide directories and users are simulated in
private mount namespaces. strace is needed.
"""

import os
import random
import shutil

import pytest
from support.checkout import release_program

report_lines = []


def pytest_addoption(parser):
    group = parser.getgroup("faults")
    group.addoption("--complete", action="store_true", help="every fault and every state, not a sample")
    group.addoption("--seed", type=int, help="of the sample")
    group.addoption("--seconds", type=int, help="for how long processes work at the same time")


def pytest_configure(config):
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(1_000_000)


def pytest_report_header(config):
    return f"faults: {'complete' if config.option.complete else 'a sample'}, --seed {config.option.seed}"


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("tests/system/faults: needs root, to make mount namespaces", 2)
    if shutil.which("strace") is None:
        pytest.exit("tests/system/faults: needs strace", 2)
    if not os.access(release_program(), os.X_OK):
        pytest.exit(f"{release_program()}: no such program; run `make build`, or set EPCACHE_BIN", 2)


def pytest_terminal_summary(terminalreporter):
    for line in report_lines:
        terminalreporter.write_line(line)


@pytest.fixture
def report():
    """For numbers that are reported even when all tests pass."""
    return report_lines.append


@pytest.fixture
def complete(request):
    return request.config.option.complete


@pytest.fixture
def rng(request):
    """A random generator with the same sequence for the same seed, separate for each test."""
    return random.Random(f"{request.config.option.seed} {request.node.name}")
