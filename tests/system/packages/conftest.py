"""The package tests install packages into chroots, which only root can do."""

import os

import pytest

from .debian_system import debian  # noqa: F401 - a fixture of test_apk.py and others
from .pacman_machine import arch  # noqa: F401 - a fixture of test_pacman*.py
from .rpm_steps import bare, machine, managed, own_mounts, ready  # noqa: F401 - fixtures of test_rpm*.py


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(
                pytest.mark.skip(reason="needs root, to make chroots; run `sudo make test-packages`")
            )
