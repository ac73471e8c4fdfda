"""The tests import what lies beside them, and what tests/histories has of installers."""

import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "histories")]


@pytest.fixture(scope="session")
def epcache():
    """The binary."""
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target")
    return os.environ.get("EPCACHE_BIN") or os.path.join(target, "release", "epcache")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root, to mount file systems"))
