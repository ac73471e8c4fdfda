"""Real programs, without acceleration and with it.

Run as ``python -m pytest tests/programs``; ``--pythons`` names the interpreters. The programs and their
plugins are installed from the package index once, into .cache.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


def pytest_addoption(parser):
    parser.addoption("--pythons", default="3.9 3.13", help="versions of Python, in one word")


def pytest_generate_tests(metafunc):
    if "version" in metafunc.fixturenames:
        versions = metafunc.config.getoption("--pythons").split()
        metafunc.parametrize("version", versions, ids=versions, scope="session")


@pytest.fixture(scope="session")
def binary():
    """The tool, which is built if ``$EPCACHE_BIN`` does not name it."""
    from .environment import CHECKOUT, run

    if os.environ.get("EPCACHE_BIN"):
        return os.environ["EPCACHE_BIN"]
    run("cargo", "build", "--quiet", "--manifest-path", CHECKOUT / "Cargo.toml")
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target")) / "debug/epcache"
