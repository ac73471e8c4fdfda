"""pip with the hook, beside the same pip without it.

Run as ``python -m pytest tests/compat/hook``: by the oldest and the newest pip, or with ``--complete`` by the newest
pip of the oldest Python as well. The installed wheels are made here, from a directory; one test
installs from the package index. That test, and pip itself, need a network.
"""

import os

import pytest

pytest.register_assert_rewrite("compat.hook.twins")

from . import twins as environments  # noqa: E402
from .twins import PIPS, SAMPLE, Twins  # noqa: E402


def pytest_addoption(parser):
    parser.getgroup("hook").addoption("--complete", action="store_true", help="every pip, not a sample")


def pytest_generate_tests(metafunc):
    if "twins" in metafunc.fixturenames:
        chosen = list(PIPS) if metafunc.config.option.complete else SAMPLE
        metafunc.parametrize("twins", [PIPS[name] for name in chosen], ids=chosen, indirect=True)


@pytest.fixture(scope="session", autouse=True)
def _templates(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    # A worker of pytest-xdist has a directory of its own in that of the run.
    environments.templates = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "templates"


@pytest.fixture
def twins(request, tmp_path):
    """Two equal environments with one of the pips; the hook is enabled in one of them."""
    return Twins(tmp_path, *request.param)


@pytest.fixture
def newest(tmp_path):
    """The same with the newest pip only."""
    return Twins(tmp_path, *PIPS["newest-3.13"])
