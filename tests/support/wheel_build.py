"""The wheel and the sdist of the checkout, built once for each state of the sources.

They are kept in ``.cache/wheel``. ``$EPCACHE_WHEELS`` names a directory with finished ones to be tested
instead, laid out alike: a wheel, an sdist, and below ``from-sdist`` the wheel that pip made of that.
"""

import functools
import hashlib
import os
import pathlib
import shutil
import sys

from .checkout import CHECKOUT
from .interpreters import run
from .locking import locked

# The files of the checkout that go into the sdist.
SOURCES = ["Cargo.toml", "Cargo.lock", "build.rs", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE-*"]
SOURCES += ["src/**/*", "python/**/*.py", "python/**/py.typed", "docs/**/*", "packaging/**/*"]


def sources():
    """The files that go into the sdist, as paths in the checkout."""
    found = {path for pattern in SOURCES for path in CHECKOUT.glob(pattern) if path.is_file()}
    return sorted(str(path.relative_to(CHECKOUT)) for path in found)


def _digest():
    digest = hashlib.sha256((CHECKOUT / "Makefile").read_bytes())
    for name in sources():
        digest.update(f"{name}\0".encode() + hashlib.sha256((CHECKOUT / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


@functools.cache
def _place():
    if given := os.environ.get("EPCACHE_WHEELS"):
        return pathlib.Path(given)
    kept = CHECKOUT / ".cache" / "wheel"
    with locked(kept / "lock"):
        place = kept / _digest()
        if not place.exists():
            partial = kept / "partial"
            for old in kept.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            make = ["make", "-C", CHECKOUT, "wheel", "sdist", f"DIST={partial}", f"PYTHON={sys.executable}"]
            run(*make, timeout=1200)
            partial.rename(place)
    return place


def _only(place, pattern):
    (path,) = place.glob(pattern)
    return path


def wheel():
    """The path of the wheel."""
    return _only(_place(), "*.whl")


def sdist():
    """The path of the sdist."""
    return _only(_place(), "*.tar.gz")


@functools.cache
def wheel_from_sdist(python):
    """The path of the wheel that the newest pip makes of the sdist, in an otherwise empty environment."""
    made = _place() / "from-sdist"
    if not made.exists():
        partial = made.with_name("from-sdist.partial")
        shutil.rmtree(partial, ignore_errors=True)
        # Cargo then builds in pip's temporary directory.
        variables = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
        run(python, "-m", "pip", "wheel", "--no-deps", "-w", partial, sdist(), env=variables, timeout=1200)
        partial.rename(made)
    return _only(made, "*.whl")
