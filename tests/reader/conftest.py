"""Fixtures of the reader's tests: interpreters, a real environment, the tool.

Run as ``python -m pytest tests/reader``. One interpreter runs the tests; they start interpreters of the
supported versions (see `interpreters`).
"""

import hashlib
import os
import shutil

import pytest
from support.checkout import debug_program
from support.environments import CACHE, REQUIREMENTS, make_environment
from support.interpreters import INTERPRETERS, VERSIONS, run
from support.locking import locked


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", list(INTERPRETERS.values()), ids=list(INTERPRETERS), scope="session")


@pytest.fixture(scope="session", autouse=True)
def _the_supported_interpreters_are_here():
    missing = [version for version in VERSIONS if version not in INTERPRETERS]
    if missing and not os.environ.get("EPCACHE_TEST_PYTHONS"):
        pytest.exit(f"no interpreter for Python {', '.join(missing)}: set EPCACHE_TEST_PYTHONS", 2)


@pytest.fixture(scope="session")
def real_site():
    """The site directory of an environment with real packages, made once and only read."""
    wanted = hashlib.sha256(" ".join(REQUIREMENTS).encode()).hexdigest()
    directory = CACHE / "environment"
    mark = directory / "complete"
    with locked(CACHE / "environment.lock"):
        if not mark.exists() or mark.read_text() != wanted:
            shutil.rmtree(directory, ignore_errors=True)
            make_environment(directory, REQUIREMENTS)
            mark.write_text(wanted)
    (site,) = directory.glob("lib/python3.*/site-packages")
    assert len(list(site.glob("*.dist-info"))) >= 60
    return site


@pytest.fixture(scope="session")
def epcache():
    """A function that runs the tool, which is built if ``$EPCACHE_BIN`` does not name it."""
    binary = debug_program()

    def call(*arguments, **options):
        return run(binary, *arguments, **options)

    call.binary = binary
    return call
