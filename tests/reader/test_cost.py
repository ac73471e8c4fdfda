"""The cost of an answer: the system calls, counted."""

import os
import posix
import pwd
import shutil
import sys
import time
import warnings
from pathlib import Path

import epcache
import pytest
from epcache import _confirm, _scan, _view
from epcache._limits import RESOLVED
from support import index_writer
from support.environments import add
from support.interpreters import INTERPRETERS, READER, run


class Recorder:
    """Replaces the module `posix` and records its calls."""

    def __init__(self, module):
        self.calls = []
        self._module = module

    def __getattr__(self, name):
        found = getattr(self._module, name)
        if not callable(found):
            return found

        def call(*arguments, **options):
            self.calls.append(name)
            return found(*arguments, **options)

        return call


@pytest.fixture
def calls(monkeypatch):
    recorder = Recorder(posix)
    for module in (epcache, _confirm, _scan, _view):
        monkeypatch.setattr(module, "posix", recorder)
    return recorder.calls


@pytest.fixture
def site(tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.mkdir()
    old = time.time_ns() - 10_000_000_000
    os.utime(program, ns=(old, old))
    monkeypatch.setattr(epcache, "SETTLE_AFTER", -(10**18))
    site = tmp_path / "site"
    for number in range(500):
        group = f"group{number % 20}"
        points = (
            f"[console_scripts]\ntool{number} = p{number}:main\n[{group}]\np{number} = p{number}:Plugin\n"
        )
        add(site, f"p{number}-1.dist-info", points if number % 3 == 0 else None)
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    # The directory of the program, a zip file that does not exist, and the site directory.
    monkeypatch.setattr(sys, "path", [str(program), str(tmp_path / "no.zip"), str(site)])
    return site


LOOK = ["open", "fstat", "stat", "stat"]  # at the three path entries
READ = [
    "open",
    "fstat",
    "posix_fadvise",
    "pread",
    "pread",
]  # all at once; the header, and the mark at the end
PROGRAM = ["listdir", "close"]
AGAIN = ["stat", "stat", "stat", "lstat"]


def test_an_absent_group_costs_reading_the_header(site, calls):
    assert epcache.entry_points(group="none") == ()
    assert calls == [*LOOK, *READ, *PROGRAM, "close"]


def test_a_group_costs_its_own_segment_and_the_order(site, calls):
    assert len(epcache.entry_points(group="group3")) == 9
    assert calls == [*LOOK, *READ, *PROGRAM, "pread", "pread", "close"]


def test_a_group_of_one_distribution_costs_its_own_segment(site, calls):
    add(site, "single-1.dist-info", "[single]\na = m:f\nb = m:g\n")
    index_writer.write(str(site))
    assert len(epcache.entry_points(group="single")) == 2
    assert calls == [*LOOK, *READ, *PROGRAM, "pread", "close"]


def test_another_group_costs_reading_the_file_once(site, calls):
    epcache.entry_points(group="group3")
    calls.clear()
    assert len(epcache.entry_points(group="group6")) == 9
    assert calls == [*AGAIN, "open", "fstat", "pread", "close"]
    calls.clear()
    assert len(epcache.entry_points(group="group9")) == 9
    assert calls == AGAIN


def test_a_version_costs_reading_the_table(site, calls):
    assert epcache.version("p7") == "1"
    assert calls == [*LOOK, *READ, *PROGRAM, "pread", "close"]
    calls.clear()
    assert epcache.version("P7") == "1"
    assert calls == AGAIN
    with pytest.raises(epcache.PackageNotFoundError):
        epcache.version("none")


def test_directories_recorded_as_empty_are_not_listed(site, calls, tmp_path, monkeypatch):
    library = tmp_path / "library"
    library.mkdir()
    (library / "module.py").touch()
    index_writer.write(str(site), without=[str(library)])
    monkeypatch.setattr(sys, "path", [*sys.path[:2], str(library), str(site)])
    assert len(epcache.entry_points(group="group3")) == 9
    assert calls.count("listdir") == 1 and calls.count("stat") == 3
    add(library, "new-1.dist-info", "[group3]\nnew = m:f\n")
    assert len(epcache.entry_points(group="group3")) == 10


def test_a_repeated_answer_costs_one_call_for_each_path_entry_and_the_index(site, calls):
    first = epcache.entry_points(group="group3")
    calls.clear()
    assert epcache.entry_points(group="group3") == first
    assert calls == AGAIN
    assert epcache.entry_points(group="group3", name="p3") == (first["p3"],)


def test_an_answer_is_forgotten_when_the_index_is_replaced(site, calls):
    first = epcache.entry_points(group="group3")
    (site / "p3-1.dist-info" / "entry_points.txt").write_text("[group3]\np3 = other:f\n")
    index_writer.write(str(site))
    calls.clear()
    second = epcache.entry_points(group="group3")
    assert second["p3"].value == "other:f" != first["p3"].value
    assert calls[: len(AGAIN)] == AGAIN and calls.count("pread") == 4


@pytest.fixture
def long_path(tmp_path, monkeypatch):
    """Forty path entries with a distribution each, and no index."""
    monkeypatch.setattr(epcache, "SETTLE_AFTER", -(10**18))
    epcache.listings.clear()
    entries = [tmp_path / "path" / f"entry{number}" for number in range(40)]
    for number, entry in enumerate(entries):
        add(entry, f"p{number}-1.dist-info", f"[g]\np{number} = m:f\n")
        (entry / f"p{number}").mkdir()
    return [str(entry) for entry in entries]


def test_path_entries_without_an_index_cost_a_look_and_a_listing_once(long_path, calls, monkeypatch):
    monkeypatch.setattr(sys, "path", long_path)
    assert epcache.version("p3") == "1"
    # One is listed once more when the plain case is given up. Few look for an index elsewhere.
    assert calls.count("listdir") == 41
    assert calls.count("stat") + calls.count("open") <= 40 + 20 and calls.count("lstat") == 0
    for _ in range(2):
        calls.clear()
        assert epcache.version("p3") == "1"
        with pytest.raises(epcache.PackageNotFoundError):
            epcache.version("none")
        assert sorted(calls) == sorted([*["open", "fstat", "close"] * 2, *["stat"] * 78])
    add(Path(long_path[5]), "new-2.dist-info")
    assert epcache.version("new") == "2"


QUESTIONS = {
    "version": "M.version('p39')",
    "missing": "try: M.version('none')\n    except M.PackageNotFoundError: pass",
    "entry_points": "M.entry_points()",
    "distributions": "[dist.entry_points for dist in M.distributions()]",
    "distribution": "M.distribution('p39').metadata",
}


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace on this machine")
@pytest.mark.parametrize("question", QUESTIONS)
def test_path_entries_without_an_index_make_no_additional_calls(python, long_path, tmp_path, question):
    def calls(times, accelerate):
        code = "import sys\n"
        if accelerate:
            code += f"sys.path.insert(0, {str(READER)!r})\n"
            code += (
                "import epcache; epcache.SETTLE_AFTER = -(10**18); epcache.accelerate(); del sys.path[0]\n"
            )
        code += "import importlib.metadata as M\n"
        # Everything is imported before.
        code += f"if {accelerate}:\n    import epcache._accelerate, epcache._packages, epcache._warning\n"
        code += f"sys.path += {long_path!r}\nfor _ in range({times}):\n    {QUESTIONS[question]}\n"
        trace = tmp_path / "trace"
        run("strace", "-f", "-o", trace, "-e", "trace=%file", python, "-S", "-E", "-B", "-c", code)
        return [line for line in trace.read_text().splitlines() if f"{tmp_path}/path/" in line]

    for times in (1, 3):
        ours, plain = calls(times, True), calls(times, False)
        # The first time, 3.9 lists each entry without a look at it. A few entries are looked for elsewhere.
        more = 40 if python == INTERPRETERS["3.9"] else 0
        assert 40 * (times + 1) <= len(ours) <= len(plain) + more + RESOLVED + 6, "\n".join(ours)


def test_answers_from_two_site_directories_are_remembered_too(site, calls, tmp_path, monkeypatch):
    second = tmp_path / "second"
    add(second, "p3-2.dist-info", "[group3]\nhidden = m:f\n")
    add(second, "q-1.dist-info", "[group3]\nq = m:f\n")
    (second / ".epcache").mkdir()
    index_writer.write(str(second))
    alone = epcache.entry_points(group="group3")
    monkeypatch.setattr(sys, "path", [*sys.path, str(second)])
    for _ in range(2):
        both = epcache.entry_points(group="group3")
        assert tuple(both)[:-1] == tuple(alone)
        assert tuple(both)[-1].name == "q"
    calls.clear()
    assert epcache.entry_points(group="group3") == both
    # The common case is tried first and given up, before the remembered answer is found.
    assert calls.count("pread") <= 4 and "listdir" not in calls[-6:]
    assert sorted(calls[-6:]) == ["lstat", "lstat", "stat", "stat", "stat", "stat"]


def test_one_changed_distribution_costs_a_stat_of_each_and_reading_that_one(site, calls):
    change = site / "p3-1.dist-info" / "entry_points.txt"
    change.write_text("[group3]\np3 = other:f\n")
    (site / "moved").touch()
    with warnings.catch_warnings(record=True):
        found = epcache.entry_points(group="group3")
    assert len(found) == 9 and found["p3"].value == "other:f"
    # One file for each distribution: its entry points, or else itself.
    assert calls.count("lstat") == 500


def test_proven_rows_of_a_stale_index_cost_nothing_while_nothing_changes(site, calls, monkeypatch):
    monkeypatch.setattr(epcache, "SETTLE_AFTER", -(10**18))
    (site / "p3-1.dist-info" / "entry_points.txt").write_text("[group3]\np3 = other:f\n")
    (site / "moved").touch()
    with warnings.catch_warnings(record=True):
        first = epcache.entry_points(group="group3")
        calls.clear()
        assert epcache.entry_points(group="group3") == first
        assert calls.count("lstat") == 1 and "listdir" not in calls[-8:]
        # Unproven rows are checked each time, and so are all rows once something changes.
        (site / "p3-1.dist-info" / "entry_points.txt").write_text("[group3]\np3 = third:f\n")
        assert epcache.entry_points(group="group3")["p3"].value == "third:f"
        (site / "p6-1.dist-info" / "entry_points.txt").write_text("[group6]\np6 = other:f\n")
        (site / "moved again").touch()
        assert epcache.entry_points(group="group6")["p6"].value == "other:f"
        index_writer.write(str(site))
        calls.clear()
        assert epcache.entry_points(group="group3")["p3"].value == "third:f"
        assert calls.count("lstat") < 5


def test_a_stale_index_of_a_directory_that_has_just_changed_is_proven_each_time(site, calls, monkeypatch):
    monkeypatch.setattr(epcache, "SETTLE_AFTER", 3_000_000_000)
    (site / "moved").touch()
    with warnings.catch_warnings(record=True):
        epcache.entry_points(group="group3")
        calls.clear()
        epcache.entry_points(group="group3")
    assert calls.count("lstat") == 500


@pytest.mark.skipif(os.geteuid() != 0, reason="files of other users can't be made")
def test_an_index_of_the_cache_user_costs_a_listing_and_the_files_that_are_named(
    site, calls, tmp_path, monkeypatch
):
    user = pwd.getpwnam("nobody")
    monkeypatch.setattr(epcache, "SYSTEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(epcache, "SYSTEM_USER", user.pw_name)
    (site / ".epcache" / "index").unlink()
    os.chown(index_writer.write(str(site), f"{tmp_path}/cache{site}/index"), user.pw_uid, -1)
    # It is looked for beside the directory first. Then the table of distributions is read.
    look = [*LOOK, *PROGRAM, "open", *READ, "geteuid", "pread", "listdir"]
    assert epcache.entry_points(group="none") == ()
    assert sorted(calls) == sorted([*look, "close"])
    calls.clear()
    monkeypatch.setattr(epcache, "_known", None)
    epcache.listings.clear()
    assert len(epcache.entry_points(group="group3")) == 9
    files = ["open", "read", "close"] * 9
    assert sorted(calls) == sorted([*look, "close", "pread", *files])
    calls.clear()
    assert len(epcache.entry_points(group="group3")) == 9
    assert calls == AGAIN
    calls.clear()
    assert epcache.entry_points(group="group6", name="p6").names == {"p6"}
    assert sorted(calls) == sorted([*AGAIN, "open", "fstat", "pread", "close", *files[:3]])
