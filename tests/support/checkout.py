"""The tested checkout, the programs built from it, and the programs of its suites."""

import functools
import os
import pathlib
import subprocess
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
TESTS = CHECKOUT / "tests"
READER = CHECKOUT / "python"


def target():
    """Cargo's target directory."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target"))


def release_program():
    """The path of the tool built by `make build`, or of the one that ``$EPCACHE_BIN`` names."""
    return os.environ.get("EPCACHE_BIN") or str(target() / "release" / "epcache")


@functools.cache
def debug_program():
    """The path of the tool, which is built first unless ``$EPCACHE_BIN`` names one."""
    if os.environ.get("EPCACHE_BIN"):
        return os.environ["EPCACHE_BIN"]
    subprocess.run(["cargo", "build", "--quiet", "--manifest-path", CHECKOUT / "Cargo.toml"], check=True)
    return str(target() / "debug" / "epcache")


def module(name, *arguments):
    """The command that runs a module of the suites with this interpreter; needs `module_variables`."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def module_variables(**more):
    """The environment in which modules of the suites are found."""
    return {**os.environ, "PYTHONPATH": str(TESTS), **more}
