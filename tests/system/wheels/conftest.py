"""The wheels, built once by `make wheels`."""

import os
import pathlib

import pytest
from support.checkout import CHECKOUT
from support.interpreters import run


@pytest.fixture(scope="session")
def wheels():
    """The directory with the wheels and the sdist."""
    if given := os.environ.get("EPCACHE_RELEASE"):
        return pathlib.Path(given)
    run("make", "-C", CHECKOUT, "wheels", timeout=3600)
    return CHECKOUT / "dist" / "wheels"
