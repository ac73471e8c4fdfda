"""A Debian system under test: what must hold after each step, and the steps."""

import contextlib
import json
import shutil
import stat
from pathlib import Path

import pytest
from support import index_reader

from . import chroot, deb, trace

HERE = Path(__file__).parent
SITE = "/usr/lib/python3/dist-packages"
CACHE = "/var/cache/epcache"
INDEX = f"{CACHE}{SITE}/index"
PROGRAM = "/usr/bin/epcache"
REPOSITORY = "/srv/repository"
# `bash` and `strace` are needed by trace.py inside.
BASE = ["python3", "strace"]
# With what our packages depend on, so that no network is needed.
PACKAGES = [*BASE, "passwd", "python3-setuptools"]


@contextlib.contextmanager
def with_epcache(packages=PACKAGES):
    """A fresh Debian trixie with `packages`, on which dpkg has installed ours."""
    with chroot.unpacked("trixie", packages, update=False) as system:
        for package in deb.epcache_packages():
            shutil.copy(package, system.path("/srv"))
        system.run("sh", "-c", "dpkg --install /srv/*.deb")
        yield system


@pytest.fixture(scope="session")
def debian():
    """One for all tests that leave our packages there, and begin by a transaction that refreshes the index."""
    with with_epcache() as system:
        yield system


def by_importlib(system, site=SITE):
    """The results of importlib.metadata of the system's own Python; see oracle.py."""
    script = (HERE / "oracle.py").read_text()
    return json.loads(system.run("python3", "-I", "-", site, input=script).stdout)


def answers(system, **options):
    """The answers of the Python reader and of importlib.metadata; see reader_check.py."""
    script = (HERE / "reader_check.py").read_text()
    return json.loads(system.run("python3", "-I", "-", SITE, input=script, **options).stdout)


def account(system):
    """The user and group number of `epcache` in the system's passwd, or None."""
    for line in system.path("/etc/passwd").read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == "epcache":
            return int(uid), int(gid)
    return None


def assert_reader_is_right(found):
    """Check that the reader's answers equal importlib.metadata's, with or without an index."""
    assert found["found"] == found["expected"]
    assert found["one_by_one"] == found["expected"]
    assert found["whole_path"] == found["expected_whole_path"]


def assert_index_right(system):
    """Check that the index exists, belongs to epcache, and agrees with importlib.metadata.

    It is read in three ways: as a file, through `epcache list` and through the Python reader. Returns
    what importlib.metadata returns for every distribution.
    """
    results = assert_file_right(system)
    listed = json.loads(system.run(PROGRAM, "list", "--site", SITE, "--json").stdout)
    keys = ["site", "distribution", "version", "group", "name", "value"]
    assert sorted([row[key] for key in keys] for row in listed) == sorted(results["found"])

    reader = answers(system, env={"PYTHONWARNINGS": "error"})
    assert reader["warnings"] == []
    assert reader["from_index"]
    assert_reader_is_right(reader)

    system.run(PROGRAM, "verify", SITE)
    return results["distributions"]


def assert_file_right(system):
    """The part of `assert_index_right` that runs no code of epcache."""
    results = by_importlib(system)
    file = system.path(INDEX)
    found = file.lstat()
    assert stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o644
    assert (found.st_uid, found.st_gid) == account(system)
    _assert_file_agrees(index_reader.parse(file.read_bytes()), results["distributions"])
    return results


def _assert_file_agrees(index, results):
    assert index.settled and not index.unsettled
    assert list(index.distributions) == [distribution["directory"] for distribution in results]
    repeated = 0
    for expected in results:
        row = index.distributions[expected["directory"]]
        if "m" not in row.flags:
            assert (row.name, row.version) == (expected["name"], expected["version"]), expected["directory"]
        if "e" not in row.flags:
            assert row.entry_points == expected["entry_points"], expected["directory"]
            repeated += 1
    # An index that leaves everything to the disk would be right and useless.
    assert repeated >= 0.97 * len(results)


def traced(system, *arguments, **options):
    """apt-get with `arguments`, every process traced.

    Returns its output and the runs of epcache, having checked that none of them accessed
    a site directory or the cache before it had given up root.
    """
    place = f"/trace/{len(list(system.path('/trace').glob('*')))}"
    result = system.apt(*arguments, trace=trace.command(place), **options)
    runs = trace.runs(system.path(place), PROGRAM)
    assert runs, "epcache was not run"
    for run in runs:
        assert run.privileged_accesses([SITE, CACHE]) == []
    return result, runs


def read(runs):
    """The names of the distributions that any of `runs` read."""
    return {
        name.split("/")[0]
        for run in runs
        for name in run.opened(SITE)
        if name.split("/")[0].endswith((".dist-info", ".egg-info"))
    }


def written(runs):
    """Whether any of `runs` put a new index in place."""
    return any(run.replaced(INDEX) for run in runs)
