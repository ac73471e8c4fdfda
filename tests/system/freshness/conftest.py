"""The fixture for the binary."""

import os

import pytest
from support.checkout import release_program


@pytest.fixture(scope="session")
def epcache():
    """The binary."""
    return release_program()


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root, to mount file systems"))
