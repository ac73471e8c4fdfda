"""Builds of source packages as a distribution does them: `make test-packaging`. Only root can make the chroots."""

import os

import pytest


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(
                pytest.mark.skip(reason="needs root, to make chroots; run `sudo make test-packaging`")
            )
