"""pip with the hook, beside the same pip without it.

Run as ``python -m pytest tests/compat/hook``. The installed wheels are made here, from a directory; one test
installs from the package index. That test, and pip itself, need a network.
"""

import pytest

pytest.register_assert_rewrite("compat.hook.twins")

from .twins import PIPS, Twins  # noqa: E402


@pytest.fixture(params=PIPS, ids=["oldest-3.9", "newest-3.9", "newest-3.13"])
def twins(request, tmp_path):
    """Two equal environments with one of the pips; the hook is enabled in one of them."""
    return Twins(tmp_path, *request.param)


@pytest.fixture
def newest(tmp_path):
    """The same with the newest pip only."""
    return Twins(tmp_path, *PIPS[-1])
