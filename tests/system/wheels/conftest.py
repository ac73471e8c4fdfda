"""The wheels, built once by `make wheels other-wheels`, which takes minutes for each."""

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
    run("make", "-C", CHECKOUT, "wheels", "other-wheels", timeout=10800)
    return CHECKOUT / "dist" / "wheels"
