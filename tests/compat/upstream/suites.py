"""Where the suites come from: the interpreters themselves, and importlib_metadata's sdists."""

import functools
import hashlib
import os
import shutil
import tarfile

from support.checkout import CHECKOUT
from support.interpreters import INTERPRETERS, VERSIONS, run

CACHE = CHECKOUT / ".cache" / "upstream"

# Versions of importlib_metadata: the newest for each interpreter, and the last ones of older series that
# many programs are still pinned to, whose classes differ.
BACKPORTS = {
    "importlib_metadata": {
        "3.9": "8.7.1",
        "3.10": "9.0.1",
        "3.11": "10.2.0",
        "3.12": "10.2.0",
        "3.13": "10.2.0",
    },
    "older": {"3.9": "4.13.0", "3.10": "6.11.0"},
}

# Dependencies of importlib_metadata and of its tests; a doctest names pytest.
REQUIREMENTS = ["zipp", "packaging", "pyfakefs", "pytest"]
MORE = {"3.9": ["typing_extensions", "jaraco.test"], "3.10": ["typing_extensions", "jaraco.test"]}
OTHERS = ["lazy-importer"]


def wanted():
    """The versions of Python to run on: all, unless the environment names interpreters."""
    return list(INTERPRETERS) if os.environ.get("EPCACHE_TEST_PYTHONS") else VERSIONS


def title(suite, version):
    """The name of a suite."""
    return "importlib.metadata" if suite == "cpython" else f"importlib_metadata {BACKPORTS[suite][version]}"


@functools.cache
def environment(version):
    """A virtual environment with the dependencies of the suites: its interpreter and its site directory."""
    requirements = REQUIREMENTS + MORE.get(version, OTHERS)
    wanted = hashlib.sha256(" ".join([INTERPRETERS[version], *requirements]).encode()).hexdigest()
    directory = CACHE / version
    python = directory / "bin" / "python"
    mark = directory / "complete"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        run(INTERPRETERS[version], "-m", "venv", directory)
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)
        mark.write_text(wanted)
    return python, directory / "lib" / f"python{version}" / "site-packages"


def sdist(suite, version):
    """The directory of importlib_metadata's source distribution for an interpreter."""
    release = BACKPORTS[suite][version]
    name = f"importlib_metadata-{release}"
    if not (CACHE / name).exists():
        python, _ = environment(version)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        where = ["--no-binary", ":all:", "--no-deps", "--dest", CACHE]
        run(*pip, "download", *where, f"importlib_metadata=={release}")
        with tarfile.open(CACHE / (name + ".tar.gz")) as archive:
            archive.extractall(CACHE / "unpacked")
        # Only a complete one has the expected name.
        (CACHE / "unpacked" / name).rename(CACHE / name)
    return CACHE / name
