"""Sealed indexes in images: built by buildah, unpacked by umoci or mounted by layers, changed by pip and
dpkg, and each time compared with `importlib.metadata` in the same tree.

Run as ``python -m pytest tests/system/images``; needs root, buildah, umoci, dpkg and strace, and no network.
"""

import os

import pytest
from support.directories import open_directory

pytest.register_assert_rewrite("system.images.inside")

from .oci import Store  # noqa: E402
from .trees import Environment, System  # noqa: E402


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root, to mount and chroot"))


@pytest.fixture(scope="session")
def store():
    """The store with buildah's containers and the images."""
    with open_directory("epcache-images-") as directory, Store(directory) as store:
        yield store


@pytest.fixture
def place():
    """A directory that every user may enter, such as the user who writes the system's index."""
    with open_directory("epcache-images-") as directory:
        yield directory


@pytest.fixture(scope="session")
def sealed(store):
    """An image of an environment with a sealed index."""
    with store.change(None, "sealed") as root:
        environment = Environment.make(root)
        environment.install("alpha-1", "beta-1", "gamma-1")
        assert environment.refresh("--seal")["sealed"]
    return "sealed"


@pytest.fixture(scope="session")
def unsealed(store):
    """The same with an ordinary index."""
    with store.change(None, "unsealed") as root:
        environment = Environment.make(root)
        environment.install("alpha-1", "beta-1", "gamma-1")
        assert not environment.refresh()["sealed"]
    return "unsealed"


@pytest.fixture(scope="session")
def system_sealed(store):
    """An image of a system with packages of dpkg and a sealed index, but without the trigger."""
    with store.change(None, "system") as root:
        system = System.make(root)
        system.dpkg("alpha-1", "beta-1")
        assert system.refresh("--seal")["sealed"]
    return "system"
