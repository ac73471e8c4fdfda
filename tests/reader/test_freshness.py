"""When the reader uses an index: what the site proof sees, and what it leaves to others.

The proof compares the stamp of the site directory, and those of the distributions that were young
when the index was made. Changes inside an older distribution's directory change neither. Package
managers make such changes (a rebuilt package of the same version) and run the tool's trigger
afterwards; people who edit by hand run ``epcache refresh``. The tests name the cases that rely on that.
"""

import os
import posix
import sys
import threading
import time

import epcache
import pytest
from epcache import _scan, _view
from support import index_writer
from support.environments import add

from . import warned


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = tmp_path / "site"
    add(site, "foo-1.dist-info", "[g]\na = foo:a\n")
    add(site, "bar-1.dist-info", "[h]\nb = bar:b\n")
    (site / ".epcache").mkdir()
    # After a path entry that does not exist: the first one is opened, not stat'ed.
    monkeypatch.setattr(sys, "path", [str(tmp_path / "nothing"), str(site)])
    index_writer.write(str(site))
    return site


def answer(**params):
    """The values found, and whether there was a warning."""
    found, messages = warned.entry_points(**params)
    return [ep.value for ep in found], messages


def stamp(path):
    return index_writer.stamp(path)


def assert_stale(values, *words):
    found, messages = answer(group="g")
    assert sorted(found) == sorted(values)
    assert len(messages) == 1 and "is stale" in messages[0], messages
    for word in words:
        assert word in messages[0]


def test_a_fresh_index_is_used(site):
    assert answer(group="g") == (["foo:a"], [])


def test_rewriting_the_index_does_not_change_the_site_directory(site):
    before = stamp(site)
    index_writer.write(str(site))
    assert stamp(site) == before
    # An index in the directory itself would change it; therefore it has a subdirectory.
    index_writer.write(str(site), str(site / "index"))
    assert stamp(site) != before


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "a_module_added"])
def test_a_change_of_the_listing_is_seen(site, change):
    values = ["foo:a"]
    if change == "added":
        add(site, "new-1.dist-info", "[g]\nn = new:n\n")
        values.append("new:n")
    elif change == "removed":
        os.rename(site / "foo-1.dist-info", site.parent / "gone")
        values = []
    elif change == "renamed":
        os.rename(site / "foo-1.dist-info", site / "foo-1.1.dist-info")
    else:
        (site / "module.py").touch()
    assert_stale(values, f"epcache refresh {site}", "has changed since it was made")


@pytest.mark.parametrize("mtime", [None, 0, 1, 1_700_000_000 * 10**9, 4_102_444_800 * 10**9], ids=str)
def test_a_restored_mtime_does_not_make_the_index_fresh(site, mtime):
    # As rpm does with a directory that a package owns, and image builders with all directories.
    if mtime is not None:
        os.utime(site, ns=(mtime, mtime))
        index_writer.write(str(site))
    assert answer(group="g") == (["foo:a"], [])
    recorded = os.stat(site)
    add(site, "new-1.dist-info", "[g]\nn = new:n\n")
    os.utime(site, ns=(recorded.st_atime_ns, recorded.st_mtime_ns))
    assert os.stat(site).st_mtime_ns == recorded.st_mtime_ns
    assert_stale(["foo:a", "new:n"])


def test_truncated_times_are_not_equal(site):
    # A copy or an image that keeps only whole seconds.
    rows, order = index_writer.rows_of(str(site))
    seconds = [number // 10**9 * 10**9 if number > 10**15 else number for number in stamp(site)]
    index_writer.replace(str(site / ".epcache" / "index"), index_writer.render(seconds, rows, order))
    assert_stale(["foo:a"])


def test_a_copy_of_the_directory_does_not_inherit_its_index(site, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(site, tmp_path / "copy", copy_function=shutil.copy2)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "copy")])
    assert_stale(["foo:a"])


def test_a_moved_directory_keeps_its_index(site, tmp_path, monkeypatch):
    before = stamp(site)
    os.rename(site, tmp_path / "moved")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "moved")])
    found, messages = answer(group="g")
    assert found == ["foo:a"]
    # Some file systems change the ctime on a rename: then the index is stale, which is right too.
    assert bool(messages) == (stamp(tmp_path / "moved") != before)


def test_an_unsettled_index_is_not_proven_by_its_stamp(site):
    index_writer.write(str(site), settled=False)
    assert_stale(["foo:a"], "was still changing")


ROWS = {"bar-1.dist-info": 0, "foo-1.dist-info": 1}


def change_added_file(directory):
    (directory / "entry_points.txt").unlink()


def change_in_place(directory):
    """Same size, same mtime: only the ctime changes."""
    path = directory / "entry_points.txt"
    before = os.stat(path)
    with open(path, "r+b") as file:
        file.write(path.read_bytes().replace(b"foo:a", b"foo:z"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_size == before.st_size and os.stat(path).st_mtime_ns == before.st_mtime_ns


def change_by_rename(directory):
    """As package managers replace files, with the packaged mtime."""
    path = directory / "entry_points.txt"
    before = os.stat(path)
    new = directory / "entry_points.txt;new"
    new.write_bytes(path.read_bytes().replace(b"foo:a", b"foo:z"))
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(new, path)


def change_metadata(directory):
    (directory / "METADATA").write_text("Name: foo\nVersion: 1.1\n")


CHANGES = [change_added_file, change_in_place, change_by_rename, change_metadata]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_an_unsettled_distribution_is_seen(site, change):
    index_writer.write(str(site), unsettled=[ROWS["foo-1.dist-info"]])
    assert answer(group="g") == (["foo:a"], [])
    before = stamp(site)
    time.sleep(0.02)
    change(site / "foo-1.dist-info")
    assert stamp(site) == before
    found, messages = answer(group="g")
    # Metadata that is replaced under the same name does not matter to entry points.
    assert [("'foo-1.dist-info' was not settled" in text) for text in messages] == [True] * (
        change is not change_metadata
    )
    assert found == {change_added_file: [], change_metadata: ["foo:a"]}.get(change, ["foo:z"])


def test_a_change_of_a_settled_distribution_is_left_to_the_trigger(site):
    index_writer.write(str(site), unsettled=[ROWS["bar-1.dist-info"]])
    time.sleep(0.02)
    change_in_place(site / "foo-1.dist-info")
    _, messages = answer(group="g")
    assert messages == []  # left to the trigger, see below


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_leaves_directories_unchanged_is_left_to_the_trigger(site, epcache, change):
    # A rebuilt package of the same version (rpm, dpkg), or an edit by hand.
    before = stamp(site)
    epcache("refresh", site)
    time.sleep(0.02)
    change(site / "foo-1.dist-info")
    assert stamp(site) == before, "then no reader that only checks the directory can know"
    epcache("refresh", site)
    assert answer(group="g") == (
        {change_added_file: [], change_metadata: ["foo:a"]}.get(change, ["foo:z"]),
        [],
    )


def test_an_installer_that_fills_a_directory_later_is_seen(site, epcache):
    # The tool runs in the middle of an installation, and is not run again.
    (site / "new-1.dist-info").mkdir()
    time.sleep(0.05)
    epcache("refresh", site)
    assert answer(group="g") == (["foo:a"], [])
    before = stamp(site)
    time.sleep(1)
    (site / "new-1.dist-info" / "entry_points.txt").write_text("[g]\nn = new:n\n")
    assert stamp(site) == before
    found, messages = answer(group="g")
    assert sorted(found) == ["foo:a", "new:n"]
    assert len(messages) == 1 and "'new-1.dist-info' was not settled when the index" in messages[0]
    epcache("refresh", site)
    found, messages = answer(group="g")
    assert sorted(found) == ["foo:a", "new:n"] and messages == []


def test_the_directory_and_its_index_change_between_two_checks(site, monkeypatch):
    real = os.stat
    changes = []

    def stat(path, **options):
        found = real(path, **options)
        if path == str(site) and not changes:
            changes.append(1)
            add(site, "new-1.dist-info", "[g]\nn = new:n\n")
            index_writer.write(str(site))
        return found

    monkeypatch.setattr(posix, "stat", stat)
    found, messages = answer(group="g")
    assert changes and sorted(found) == ["foo:a", "new:n"] and messages == []


def test_only_the_index_changes_between_two_checks(site, monkeypatch):
    index_writer.write(str(site), unsettled=[ROWS["foo-1.dist-info"]])
    real = os.lstat
    changes = []

    def lstat(path, **options):
        if not changes:
            changes.append(1)
            time.sleep(0.02)
            change_in_place(site / "foo-1.dist-info")
            index_writer.write(str(site))
        return real(path, **options)

    monkeypatch.setattr(posix, "lstat", lstat)
    assert answer(group="g")[0] == ["foo:z"]
    assert changes


def test_a_constantly_replaced_index_is_always_complete(site):
    stop = threading.Event()
    rows, order = index_writer.rows_of(str(site))
    versions = [
        index_writer.render(stamp(site), rows, order),
        index_writer.render(stamp(site), rows, order, unsettled=range(2)),
    ]

    def replace():
        number = 0
        while not stop.is_set():
            number += 1
            index_writer.replace(str(site / ".epcache" / "index"), versions[number % 2])

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(3000):
            assert answer(group="g") == (["foo:a"], [])
        assert answer() and answer()[1] == []
    finally:
        stop.set()
        thread.join()


def test_trusting_the_mtime_alone_would_not_pass_these_tests(site, monkeypatch):
    # Guards this file: the naive proof, as in caches that compare float mtimes, accepts too much.
    recorded = os.stat(site)
    add(site, "new-1.dist-info", "[g]\nn = new:n\n")
    os.utime(site, ns=(recorded.st_atime_ns, recorded.st_mtime_ns))

    def naive(info):
        return real(recorded if info.st_mtime_ns == recorded.st_mtime_ns else info)

    real = epcache.stamp_of
    monkeypatch.setattr(epcache, "stamp_of", naive)
    monkeypatch.setattr(_scan, "stamp_of", naive)
    assert answer(group="g") == (["foo:a"], [])


def test_young_stamps_settle_for_a_process_once_they_are_old(site, monkeypatch):
    index_writer.write(str(site), unsettled=[ROWS["foo-1.dist-info"]])
    checked = []
    real = os.lstat
    monkeypatch.setattr(posix, "lstat", lambda path, **options: checked.append(path) or real(path, **options))
    for _ in range(2):
        checked.clear()
        assert answer(group="g") == (["foo:a"], [])
        assert sum("foo-1.dist-info" in path for path in checked) >= 2
    # Pretend that a minute has passed.
    monkeypatch.setattr(_view, "SETTLE_AFTER", -(10**18))
    monkeypatch.setattr(_view, "UNFINISHED_AFTER", -(10**18))
    assert answer(group="g") == (["foo:a"], [])
    checked.clear()
    assert answer(group="g") == (["foo:a"], [])
    assert checked == [str(site / ".epcache" / "index")]
    # Changed distributions stay young, and so does everything where no trigger reports changes.
    change_in_place(site / "foo-1.dist-info")
    index_writer.write(str(site), unsettled=[ROWS["foo-1.dist-info"]])
    change_in_place(site / "foo-1.dist-info")
    for _ in range(2):
        checked.clear()
        assert len(answer(group="g")[0]) == 1 and len(checked) > 2


def test_an_index_in_the_user_cache_is_never_settled(site, tmp_path, monkeypatch):
    monkeypatch.setattr(_view, "SETTLE_AFTER", -(10**18))
    monkeypatch.setattr(_view, "UNFINISHED_AFTER", -(10**18))
    (site / ".epcache" / "index").unlink()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    index_writer.write(str(site), f"{tmp_path}/cache/epcache{site}/index", unsettled=range(2))
    assert answer(group="g") == (["foo:a"], [])
    change_in_place(site / "foo-1.dist-info")
    found, messages = answer(group="g")
    assert found == ["foo:z"] and len(messages) == 1
