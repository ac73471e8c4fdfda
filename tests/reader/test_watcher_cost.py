"""The cost of a poll: its system calls, counted by strace."""

import re
import shutil
import subprocess

import pytest
from support.interpreters import INTERPRETERS, READER, run

from .watcher_installers import pip_install
from .watcher_installers import run as installed

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")

# The first poll is made by the constructor; it is complete when the guard has passed.
LOOKS = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from epcache.watcher import Watcher, directory
directory.SYSTEM_CACHE = sys.argv[2]
watcher = Watcher(sys.argv[3:])
settled = time.monotonic() + 6.5
while time.monotonic() < settled:
    time.sleep(0.5)
    watcher.poll()
assert "importlib.metadata" not in sys.modules
for _ in range(3):
    os.access("/between/polls", os.F_OK)
    assert not watcher.poll()
os.access("/between/polls", os.F_OK)
"""

# The interpreter allocates memory at its own discretion.
IGNORED = {"brk", "mmap", "munmap", "mremap", "madvise", "futex"}


def polls(python, *arguments, tmp_path):
    """The system calls of each of the last three polls."""
    trace = tmp_path / "trace"
    run("strace", "-o", trace, python, "-S", "-E", "-c", LOOKS, READER, *arguments)
    text = trace.read_text(errors="replace")
    parts = re.split(r'.*"/between/polls".*\n', text)[1:-1]
    assert len(parts) == 3
    calls = [re.findall(r"^(\w+)\((.*)$", part, re.MULTILINE) for part in parts]
    return [[(name, rest) for name, rest in poll if name not in IGNORED] for poll in calls]


def stats(poll):
    """The paths of a poll that consists of nothing but stat."""
    assert {name for name, _ in poll} <= {"stat", "newfstatat", "statx"}, poll
    return [re.search(r'"([^"]*)"', rest).group(1) for _, rest in poll]


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_a_poll_is_one_stat_a_directory_while_nothing_changes(version, tmp_path):
    entries = [tmp_path / name for name in ("one", "two", "none")]
    for entry in entries[:2]:
        entry.mkdir()
        for number in range(40):
            installed(pip_install(entry, f"name{number}", "1"))
    found = polls(INTERPRETERS[version], "/nowhere", *entries, tmp_path=tmp_path)
    assert [stats(poll) for poll in found] == [list(map(str, entries))] * 3


def test_a_directory_with_an_index_of_the_system_costs_one_more(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    installed(pip_install(site, "one", "1"))
    index = tmp_path / "cache" / str(site).lstrip("/") / "index"
    index.parent.mkdir(parents=True)
    index.write_text("")
    found = polls(INTERPRETERS["3.11"], tmp_path / "cache", site, tmp_path=tmp_path)
    assert [stats(poll) for poll in found] == [[str(site), str(index)]] * 3


def test_metadata_that_is_missing_costs_one_more_a_distribution(tmp_path):
    site = tmp_path / "site"
    (site / "empty-1.dist-info").mkdir(parents=True)
    found = polls(INTERPRETERS["3.11"], "/nowhere", site, tmp_path=tmp_path)
    assert [stats(poll) for poll in found] == [[str(site), f"{site}/empty-1.dist-info"]] * 3


def test_the_trace_shows_additional_calls_of_a_poll(tmp_path):
    """Guards the other tests: within the guard, a poll lists the directory."""
    site = tmp_path / "site"
    site.mkdir()
    trace = tmp_path / "trace"
    young = LOOKS.replace("6.5", "0")
    subprocess.run(
        ["strace", "-o", trace, INTERPRETERS["3.11"], "-S", "-E", "-c", young, READER, "/nowhere", site],
        check=True,
    )
    between = re.split(r'.*"/between/polls".*\n', trace.read_text(errors="replace"))[1:-1]
    assert all("getdents64(" in poll for poll in between)
