"""An environment in normal use: the tool, pip and uv take turns, and every reader is right.

The steps build on each other and run in the order of the file.
"""

import json
import os
import time

import pytest
from support import index_writer
from support.environments import CACHE, REQUIREMENTS, make_environment, uv
from support.interpreters import INTERPRETERS, ask, asked_the_disk, expected, run

ORACLE = """
import importlib.metadata, json, sys
rows = [
    (dist.metadata["Name"], dist.version, ep.group, ep.name, ep.value)
    for dist in importlib.metadata.distributions(path=sys.argv[1:]) for ep in dist.entry_points
]
print(json.dumps(sorted(rows)))
"""


class Environment:
    def __init__(self, directory, tool):
        self.directory = directory
        self.site = make_environment(directory, REQUIREMENTS)
        self.tool = tool

    def pip(self, *arguments):
        run(self.directory / "bin" / "python", "-m", "pip", *arguments, timeout=300)

    def uv(self, *arguments):
        variables = {**os.environ, "UV_CACHE_DIR": str(CACHE / "uv")}
        run(uv(), "pip", *arguments, "--python", self.directory / "bin" / "python", env=variables)

    def refresh(self, *arguments):
        (line,) = self.tool("refresh", "--venv", self.directory, "--json", *arguments).splitlines()
        return json.loads(line)

    def wait_for_installers(self):
        """Wait three seconds, after which installations count as complete."""
        files = ("", "METADATA", "entry_points.txt")
        paths = [path / name for path in self.site.glob("*.dist-info") for name in files]
        newest = max(path.lstat().st_ctime for path in paths if path.exists())
        time.sleep(max(0, newest + 3.1 - time.time()))

    def distributions(self, stem):
        return sorted(path.name for path in self.site.glob(f"{stem}-*.dist-info"))

    def assert_reads(self, warns=False, reads=None):
        """Check that every interpreter's reader gives importlib.metadata's answer."""
        for python in INTERPRETERS.values():
            queries = [{}, {"group": "console_scripts"}, {"group": "pytest11"}, {"name": "pytest"}]
            found = ask(python, [self.site], queries)
            assert found["answers"] == expected(python, [self.site], queries)
            assert bool(found["warnings"]) == warns, found["warnings"]
            reads = warns if reads is None else reads
            assert asked_the_disk(found) == reads

    def assert_lists(self):
        """Check that `epcache list` prints what every version's importlib.metadata returns."""
        listed = json.loads(self.tool("list", "--venv", self.directory, "--json"))
        assert {tuple(row) for row in listed} == {
            ("site", "distribution", "version", "group", "name", "value")
        }
        assert {row["site"] for row in listed} == {str(self.site)}
        rows = sorted(
            [row[key] for key in ("distribution", "version", "group", "name", "value")] for row in listed
        )
        assert len(rows) > 250
        for python in INTERPRETERS.values():
            assert rows == json.loads(run(python, "-I", "-c", ORACLE, self.site))


@pytest.fixture(scope="module")
def environment(tmp_path_factory, epcache):
    return Environment(tmp_path_factory.mktemp("environment") / "venv", epcache)


def test_a_new_environment_is_indexed(environment):
    report = environment.refresh()
    present = sorted(path.name for path in environment.site.glob("*.dist-info"))
    assert len(present) >= 60
    assert report["added"] == report["read"] == present
    assert report["updated"] == report["removed"] == []
    assert report["site"] == str(environment.site)
    assert report["index"] == str(environment.site / ".epcache" / "index")
    environment.assert_reads()
    environment.assert_lists()


def test_the_index_has_the_bytes_that_its_specification_says(environment):
    # Written by a second implementation of docs/reference/index-format.md. Whether a distribution is
    # unsettled depends on the clock, so that line is copied from the index to be compared.
    path = environment.site / ".epcache" / "index"
    environment.refresh("--full")
    written = path.read_bytes()
    unsettled = [line for line in written.split(b"\n") if line.startswith(b"unsettled\t")]
    unsettled = [int(row) for line in unsettled for row in line.split(b"\t")[1].split(b" ")]
    # The directories on the interpreter's path are recorded at the writer's discretion.
    without = [line.split(b"\t")[2] for line in written.split(b"\n") if line.startswith(b"without\t")]
    assert without != []
    rows, order = index_writer.rows_of(str(environment.site))
    stamp = index_writer.stamp(environment.site)
    assert index_writer.render(stamp, rows, order, unsettled=unsettled, without=without) == written


def test_nothing_is_read_when_nothing_has_changed(environment):
    environment.wait_for_installers()
    report = environment.refresh()
    assert report["read"] == report["added"] == report["updated"] == report["removed"] == []
    assert report["carried"] == len(list(environment.site.glob("*.dist-info")))
    assert report["settled"] is True


def test_pip_installs_without_a_refresh(environment):
    environment.pip("install", "--quiet", "--no-deps", "pytest-timeout")
    environment.assert_reads(warns=True)
    environment.assert_lists()  # the tool is right, whatever the index contains
    report = environment.refresh()
    assert report["read"] == report["added"] == environment.distributions("pytest_timeout") != []
    assert report["removed"] == report["updated"] == []
    environment.assert_reads()
    environment.assert_lists()


def test_pip_uninstalls(environment):
    gone = environment.distributions("pytest_timeout")
    environment.pip("uninstall", "--quiet", "--yes", "pytest-timeout")
    environment.assert_reads(warns=True, reads=False)  # the remaining distributions match the index
    report = environment.refresh()
    assert report["removed"] == gone
    assert report["read"] == report["added"] == report["updated"] == []
    environment.assert_reads()
    environment.assert_lists()


def test_pip_replaces_a_version(environment):
    old = environment.distributions("flake8")
    environment.pip("install", "--quiet", "--no-deps", "flake8<7")
    new = environment.distributions("flake8")
    assert old != new
    report = environment.refresh()
    assert report["read"] == report["updated"] == new
    assert report["added"] == report["removed"] == []
    environment.assert_reads()
    environment.assert_lists()


def test_uv_reinstalls_the_same_version(environment):
    # With hard links into its cache: the file keeps inode and mtime.
    environment.uv("install", "--quiet", "--reinstall", "--no-deps", "pytest-cov")
    environment.assert_reads(warns=True, reads=False)  # its entry points have the same content
    report = environment.refresh()
    assert report["read"] == report["updated"] == environment.distributions("pytest_cov") != []
    assert report["added"] == report["removed"] == []
    environment.assert_reads()
    environment.assert_lists()


def test_the_index_moves_with_the_environment(environment):
    moved = environment.directory.with_name("moved")
    os.rename(environment.directory, moved)
    environment.directory, environment.site = (
        moved,
        moved / environment.site.relative_to(environment.directory),
    )
    environment.assert_reads()
    assert environment.refresh()["read"] == []
    environment.assert_lists()


def test_verify_and_status_agree(environment):
    environment.tool("verify", environment.site)
    (status,) = json.loads(environment.tool("status", "--venv", environment.directory, "--json"))
    assert status["state"] in ("fresh", "unsettled")
