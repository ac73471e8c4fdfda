"""Real programs, without acceleration and with it.

Run as ``python -m pytest tests/compat/programs``; ``--pythons`` names the interpreters. The programs and their
plugins are installed from the package index once, into .cache.
"""

import pytest
from support.checkout import debug_program


def pytest_addoption(parser):
    parser.addoption("--pythons", default="3.9 3.13", help="versions of Python, in one word")


def pytest_generate_tests(metafunc):
    if "version" in metafunc.fixturenames:
        versions = metafunc.config.getoption("--pythons").split()
        metafunc.parametrize("version", versions, ids=versions, scope="session")


@pytest.fixture(scope="session")
def binary():
    """The tool."""
    return debug_program()
