"""pip with the hook, beside the same pip without it.

Run as ``python -m pytest tests/hook``. What is installed are wheels made here, from a directory; one
test installs from the package index. A network is needed by that, and for pip itself.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

pytest.register_assert_rewrite("twins")

from .twins import PIPS, Twins


@pytest.fixture(params=PIPS, ids=["oldest-3.9", "newest-3.9", "newest-3.13"])
def twins(request, tmp_path):
    """Two equal environments with one of the pips; the hook is enabled in one of them."""
    return Twins(tmp_path, *request.param)


@pytest.fixture
def newest(tmp_path):
    """The same with the newest pip alone."""
    return Twins(tmp_path, *PIPS[-1])
