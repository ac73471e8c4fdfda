"""The reports of the watcher, in a directory that this process changes itself."""

import contextlib
import os
import pathlib
import resource
import shutil
import sys
import tempfile
import threading
import time
import types

import pytest
from epcache import watcher as watching
from epcache.watcher import Changes, Watcher
from epcache.watcher import directory as scanning
from support.environments import add

from .watcher_installers import METADATA, directory, pip_install, pip_upgrade, run, uv_install, uv_uninstall

NOTHING = ((), (), ())


@pytest.fixture
def clock(monkeypatch):
    """The monotonic clock; adding to `passed` advances it."""
    clock = types.SimpleNamespace(passed=0.0, time_ns=time.time_ns)
    clock.monotonic_ns = lambda: time.monotonic_ns() + int(clock.passed * 1e9)
    monkeypatch.setattr(watching, "time", clock)
    return clock


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    return site


@contextlib.contextmanager
def as_nobody():
    """Run without root's permissions."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def names(installations):
    return [one.name for one in installations]


def install(site, name, version="1"):
    run(pip_install(site, name, version))


def test_initial_distributions_are_installed_and_not_reported(site):
    install(site, "one")
    watcher = Watcher([site])
    (one,) = watcher.installed()
    assert one._asdict() == {
        "name": "one",
        "version": "1",
        "path": f"{site}/one-1.dist-info",
        "site": str(site),
        "previous_version": None,
    }
    assert watcher.poll() == NOTHING
    assert not watcher.poll()
    assert isinstance(watcher.poll(), Changes)


def test_an_installation_an_upgrade_and_a_removal_are_one_report_each(site, clock):
    watcher = Watcher([site])
    install(site, "one-more")
    changes = watcher.poll()
    assert changes
    assert [(one.name, one.version) for one in changes.added] == [("one-more", "1")]
    assert changes[1:] == ((), ())
    run(pip_upgrade(site, "one-more", "1", "2"))
    ((one,),) = filter(None, watcher.poll())
    assert (one.version, one.previous_version) == ("2", "1")
    assert one.path == str(directory(site, "one-more", "2"))
    run(uv_uninstall(site, "one-more", "2"))
    assert watcher.poll() == NOTHING
    clock.passed += 3.1
    ((one,),) = filter(None, watcher.poll())
    assert (one.version, one.previous_version) == ("2", None)
    assert watcher.poll() == NOTHING
    assert watcher.installed() == ()


def test_reports_are_immutable(site):
    watcher = Watcher([site])
    install(site, "one")
    changes = watcher.poll()
    with pytest.raises(AttributeError):
        changes.added = ()
    with pytest.raises(AttributeError):
        changes.added[0].name = "other"


def test_a_distribution_installed_and_removed_between_polls_is_not_reported(site, clock):
    watcher = Watcher([site])
    install(site, "one")
    run(uv_uninstall(site, "one", "1"))
    for _ in range(3):
        assert watcher.poll() == NOTHING
        clock.passed += 3.1


def test_removal_and_reinstallation_is_an_update(site):
    install(site, "one")
    watcher = Watcher([site])
    run(uv_uninstall(site, "one", "1"))
    assert watcher.poll() == NOTHING
    install(site, "one")
    (one,) = watcher.poll().updated
    assert (one.version, one.previous_version) == ("1", "1")
    assert watcher.poll() == NOTHING


def test_files_written_late_give_no_second_report(site, clock):
    watcher = Watcher([site])
    install(site, "one")
    assert names(watcher.poll().added) == ["one"]
    for file in ("direct_url.json", "REQUESTED", "RECORD", "uv_cache.json"):
        (site / "one-1.dist-info" / file).write_text("late")
        assert watcher.poll() == NOTHING
        clock.passed += 1.1
    add(site, "quiet-1.dist-info")
    assert watcher.poll() == NOTHING
    clock.passed += 3.1
    assert names(watcher.poll().added) == ["quiet"]
    (site / "quiet-1.dist-info" / "INSTALLER").write_text("somebody")
    install(site, "other")
    assert names(watcher.poll().added) == ["other"]


def test_a_packaged_installer_file_gives_no_report(site, clock):
    watcher = Watcher([site])
    install(site, "packaged")
    os.utime(site / "packaged-1.dist-info" / "INSTALLER", (1_600_000_000, 1_600_000_000))
    assert watcher.poll() == NOTHING
    clock.passed += 3.1
    assert names(watcher.poll().added) == ["packaged"]


def test_empty_metadata_is_waited_for(site, clock):
    watcher = Watcher([site])
    metadata = add(site, "one-1.dist-info", metadata="") / "METADATA"
    for _ in range(3):
        clock.passed += 61
        assert watcher.poll() == NOTHING
    metadata.write_text(METADATA.format("one", "1"))
    assert watcher.poll() == NOTHING
    clock.passed += 3.1
    assert names(watcher.poll().added) == ["one"]


def test_a_reinstallation_that_leaves_all_but_the_installer_file_is_an_update(site):
    """As uv may do: the metadata is linked from its cache, and the directory's inode is reused."""
    install(site, "one")
    watcher = Watcher([site])
    installer = site / "one-1.dist-info" / "INSTALLER"
    installer.with_name("new").write_text("uv")
    installer.with_name("new").rename(installer)
    (site / "moved.py").touch()
    assert names(watcher.poll().updated) == ["one"]
    assert watcher.poll() == NOTHING


def test_a_link_from_another_environment_is_no_update(site, tmp_path, clock):
    other = tmp_path / "other"
    other.mkdir()
    run(uv_install(site, "one", "1"))
    watcher = Watcher([site])
    metadata = site / "one-1.dist-info" / "METADATA"
    before = metadata.stat()
    time.sleep(0.02)
    run(uv_install(other, "one", "1"))
    assert metadata.stat().st_ctime_ns != before.st_ctime_ns
    assert metadata.stat().st_ino == before.st_ino
    install(site, "two")
    assert [names(part) for part in watcher.poll()] == [["two"], [], []]


def test_metadata_edited_in_place_is_an_update_once_the_directory_changes(site, clock):
    install(site, "one")
    install(site, "two")
    watcher = Watcher([site])
    for _ in range(2):
        clock.passed += 3.1
        assert watcher.poll() == NOTHING
    (site / "one-1.dist-info" / "METADATA").write_text(METADATA.format("one", "1.post1"))
    assert watcher.poll() == NOTHING
    (site / "moved.py").touch()
    assert watcher.poll() == NOTHING  # the file may still be being written
    clock.passed += 3.1
    (one,) = watcher.poll().updated
    assert (one.name, one.version, one.previous_version) == ("one", "1.post1", "1")


def test_a_replaced_index_shows_what_the_directory_does_not(site, clock, monkeypatch, tmp_path):
    """A release-only upgrade by rpm or dpkg, whose trigger replaces the index."""
    monkeypatch.setattr(scanning, "SYSTEM_CACHE", str(tmp_path / "cache"))
    index = tmp_path / "cache" / str(site).lstrip("/") / "index"
    index.parent.mkdir(parents=True)
    index.write_text("first")
    install(site, "one")
    watcher = Watcher([site])
    for _ in range(2):
        clock.passed += 3.1
        assert watcher.poll() == NOTHING
    stamp = site.stat()
    new = site / "one-1.dist-info" / "entry_points.txt.dpkg-new"
    new.write_text("[plugins]\none = one:other\n")
    new.rename(site / "one-1.dist-info" / "entry_points.txt")
    assert site.stat().st_ctime_ns == stamp.st_ctime_ns
    assert watcher.poll() == NOTHING
    clock.passed += 3.1
    assert watcher.poll() == NOTHING
    index.with_name("new").write_text("second")
    index.with_name("new").rename(index)
    watcher.poll()
    clock.passed += 3.1
    assert names(watcher.poll().updated) == ["one"]
    # Removed by a failed refresh, then written again.
    index.unlink()
    assert watcher.poll() == NOTHING
    index.write_text("third")
    assert watcher.poll() == NOTHING


def test_legacy_metadata_is_reported_once_it_stays_unchanged(site, clock):
    watcher = Watcher([site])
    (site / "flat-1.0-py3.11.egg-info").write_text("Metadata-Version: 1.0\nName: flat\nVersion: 1.0\n")
    add(site, "deep.egg-info", metadata="Metadata-Version: 1.0\nName: deep\nVersion: 3\n")
    assert watcher.poll() == NOTHING
    clock.passed += 3.1
    assert [(one.name, one.version) for one in watcher.poll().added] == [("deep", "3"), ("flat", "1.0")]
    (site / "flat-1.0-py3.11.egg-info").unlink()
    watcher.poll()
    clock.passed += 3.1
    assert names(watcher.poll().removed) == ["flat"]


ODD = {
    "folded": "Metadata-Version: 2.1\nName: folded\nVersion:\n 1\n",
    "crlf": "Metadata-Version: 2.1\r\nName: crlf\r\nVersion: 1\r\n\r\n",
    "late": "Metadata-Version: 2.1\nDescription: a\n        b\nName: late\nVersion: 1\n\n",
    "twice": "Name: twice\nName: other\nVersion: 1\nVersion: 2\n\n",
    "lower": "name:lower\nVERSION:   1\n\n",
}


@pytest.mark.parametrize("name", ODD)
def test_names_and_versions_are_those_of_importlib_metadata(name, site):
    import importlib.metadata

    place = add(site, f"{name}-1.dist-info", metadata=ODD[name])
    (place / "METADATA").write_bytes(ODD[name].encode())
    for file in ("RECORD", "INSTALLER"):
        (place / file).write_text("written last\n")
    (one,) = Watcher([site]).installed()
    (theirs,) = importlib.metadata.distributions(path=[str(site)])
    assert (one.name, one.version) == (theirs.metadata["Name"], theirs.version)


def test_a_fifo_a_broken_link_and_bytes_that_are_not_utf_8_are_harmless(site, clock):
    for name in ("fifo", "link", "bytes", "unwritten"):
        (site / f"{name}-1.dist-info").mkdir()
    os.mkfifo(site / "fifo-1.dist-info" / "METADATA")
    (site / "link-1.dist-info" / "METADATA").symlink_to("nowhere")
    (site / "bytes-2.dist-info").symlink_to("nowhere")
    (site / "bytes-1.dist-info" / "METADATA").write_bytes(b"Name: bytes\xff\nVersion: 1\n")
    watcher = Watcher([site])
    clock.passed += 61
    assert [(one.name, one.version) for one in watcher.poll().added] == [("bytes", "1")]


def test_a_distribution_gets_its_metadata_long_after_its_directory(site, clock):
    (site / "slow-1.dist-info").mkdir()
    watcher = Watcher([site])
    for _ in range(3):
        clock.passed += 61
        assert watcher.poll() == NOTHING
    (site / "slow-1.dist-info" / "METADATA").write_text(METADATA.format("slow", "1"))
    assert watcher.poll() == NOTHING
    clock.passed += 3.1
    assert names(watcher.poll().added) == ["slow"]


def test_stashes_of_pip_are_not_distributions(site, clock):
    add(site, "~oo-1.dist-info", metadata=METADATA.format("foo", "1"))
    watcher = Watcher([site])
    clock.passed += 61
    assert watcher.poll() == NOTHING
    assert watcher.installed() == ()


def test_a_removal_waits_for_the_stash_of_pip(site, clock):
    install(site, "foo")
    watcher = Watcher([site])
    (site / "foo-1.dist-info").rename(site / "~oo-1.dist-info")
    for _ in range(10):
        assert watcher.poll() == NOTHING
        clock.passed += 3.1
    install(site, "foo", "2")
    assert names(watcher.poll().updated) == ["foo"]


def test_a_removal_is_reported_at_once_after_a_long_pause(site, clock, monkeypatch):
    install(site, "one")
    watcher = Watcher([site])
    shutil.rmtree(site / "one-1.dist-info")
    clock.passed += 10
    monkeypatch.setattr(clock, "time_ns", lambda: time.time_ns() + 10_000_000_000)
    assert names(watcher.poll().removed) == ["one"]


def test_making_a_watcher_leaves_the_finders_of_old_directories_alone(site, clock, monkeypatch):
    calls = []
    finder = types.SimpleNamespace(invalidate_caches=lambda: calls.append(1))
    monkeypatch.setitem(sys.path_importer_cache, str(site), finder)
    monkeypatch.setattr(clock, "time_ns", lambda: time.time_ns() + 120_000_000_000)
    watcher = Watcher([site])
    assert not calls
    (site / "moved.py").touch()
    watcher.poll()
    assert calls


class TestPath:
    def test_the_live_path_is_followed(self, site, tmp_path, monkeypatch):
        other = tmp_path / "other"
        other.mkdir()
        install(site, "one")
        install(other, "two")
        monkeypatch.setattr(sys, "path", [str(site)])
        watcher = Watcher()
        sys.path.append(str(other))
        changes = watcher.poll()
        assert (names(changes.added), changes.updated, changes.removed) == (["two"], (), ())
        sys.path = [str(other)]
        changes = watcher.poll()
        assert (changes.added, changes.updated, names(changes.removed)) == ((), (), ["one"])
        sys.path.insert(0, str(site))
        assert names(watcher.poll().added) == ["one"]
        assert names(watcher.installed()) == ["one", "two"]

    def test_a_given_path_is_not_the_live_one(self, site, tmp_path, monkeypatch):
        install(tmp_path, "two")
        watcher = Watcher([site])
        monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
        assert watcher.poll() == NOTHING

    def test_one_directory_under_two_names_is_reported_once(self, site, tmp_path):
        link = tmp_path / "link"
        link.symlink_to(site)
        watcher = Watcher([str(link), str(site), f"{site}/"])
        install(site, "one")
        (one,) = watcher.poll().added
        assert one.site == str(link)

    def test_the_second_name_stands_in_when_the_first_leaves(self, site, tmp_path, monkeypatch):
        link = tmp_path / "link"
        link.symlink_to(site)
        install(site, "one")
        monkeypatch.setattr(sys, "path", [str(link), str(site)])
        watcher = Watcher()
        del sys.path[0]
        changes = watcher.poll()
        assert [one.site for one in changes.removed] == [str(link)]
        assert [one.site for one in changes.added] == [str(site)]

    def test_the_current_working_directory_is_used(self, site, tmp_path, monkeypatch):
        other = tmp_path / "other"
        other.mkdir()
        install(site, "one")
        install(other, "two")
        monkeypatch.setattr(sys, "path", [""])
        monkeypatch.chdir(site)
        watcher = Watcher()
        assert [one.path for one in watcher.installed()] == [str(directory(site, "one", "1"))]
        os.chdir(other)
        changes = watcher.poll()
        assert (names(changes.added), names(changes.removed)) == (["two"], ["one"])
        assert watcher.poll() == NOTHING
        # It is on the path by its name as well.
        sys.path.insert(0, str(other))
        assert watcher.poll() == NOTHING
        os.chdir(site)
        changes = watcher.poll()
        assert [(one.name, one.site) for one in changes.removed] == [("two", str(other))]
        assert [one.name for one in changes.added] == ["two", "one"]

    def test_bytes_and_path_objects_are_entries_and_others_are_not(self, site, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        watcher = Watcher([os.fsencode(site), pathlib.Path(other), None, 7, "\0", "x" * 5000, "/dev/null"])
        install(site, "one")
        install(other, "two")
        assert names(watcher.poll().added) == ["one", "two"]

    def test_a_single_directory_is_not_a_path(self, site):
        for path in (str(site), os.fsencode(site), site):
            with pytest.raises(TypeError, match="list of directories"):
                Watcher(path)

    def test_a_directory_that_appears_and_disappears(self, site, clock):
        missing = site / "missing"
        watcher = Watcher([missing])
        assert watcher.poll() == NOTHING
        missing.mkdir()
        install(missing, "one")
        assert names(watcher.poll().added) == ["one"]
        shutil.rmtree(missing)
        assert watcher.poll() == NOTHING
        clock.passed += 3.1
        assert names(watcher.poll().removed) == ["one"]

    def test_a_directory_that_is_replaced(self, site, tmp_path, clock):
        install(site, "same")
        install(site, "old")
        new = tmp_path / "new"
        new.mkdir()
        install(new, "same", "2")
        install(new, "young")
        watcher = Watcher([site])
        site.rename(tmp_path / "away")
        new.rename(site)
        changes = watcher.poll()
        assert (names(changes.added), names(changes.updated), changes.removed) == (["young"], ["same"], ())
        clock.passed += 3.1
        assert names(watcher.poll().removed) == ["old"]

    def test_an_unreadable_directory_counts_as_unchanged(self, clock):
        with tempfile.TemporaryDirectory() as place:
            site = pathlib.Path(place)
            install(site, "one")
            os.chmod(site, 0o755)
            watcher = Watcher([site])
            os.chmod(site, 0)
            with as_nobody():
                for _ in range(3):
                    clock.passed += 3.1
                    assert watcher.poll() == NOTHING
                inside = Watcher([site / "inside"])
                assert inside.poll() == NOTHING
            os.chmod(site, 0o755)
            (site / "inside").mkdir()
            install(site / "inside", "three")
            install(site, "two")
            with as_nobody():
                assert [names(part) for part in watcher.poll()] == [["two"], [], []]
                assert names(inside.poll().added) == ["three"]

    def test_running_out_of_descriptors_counts_as_unchanged(self, site, clock):
        install(site, "one")
        watcher = Watcher([site])
        install(site, "two")
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            for _ in range(3):
                assert watcher.poll() == NOTHING
                clock.passed += 61
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert [names(part) for part in watcher.poll()] == [["two"], [], []]

    def test_zip_files_are_skipped(self, tmp_path):
        import zipfile

        archive = tmp_path / "zipped.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("one-1.dist-info/METADATA", METADATA.format("one", "1"))
        watcher = Watcher([archive])
        assert watcher.installed() == ()
        assert watcher.poll() == NOTHING

    def test_thousands_of_entries(self, tmp_path):
        entries = [str(tmp_path / f"entry{number}") for number in range(3000)]
        for entry in entries[::2]:
            os.mkdir(entry)
        watcher = Watcher(entries)
        install(pathlib.Path(entries[1000]), "one")
        os.mkdir(entries[1001])
        install(pathlib.Path(entries[1001]), "two")
        assert names(watcher.poll().added) == ["one", "two"]


def test_two_of_one_name_in_a_directory_count_as_the_one_completed_last(site, clock):
    """As in the middle of an upgrade by rpm."""
    install(site, "foo", "1")
    watcher = Watcher([site])
    install(site, "foo", "2")
    assert [(one.previous_version, one.version) for one in watcher.poll().updated] == [("1", "2")]
    shutil.rmtree(site / "foo-1.dist-info")
    clock.passed += 3.1
    assert watcher.poll() == NOTHING
    install(site, "foo", "1")
    assert [(one.previous_version, one.version) for one in watcher.poll().updated] == [("2", "1")]
    shutil.rmtree(site / "foo-1.dist-info")
    assert [(one.previous_version, one.version) for one in watcher.poll().updated] == [("1", "2")]


def test_threads_share_the_reports(site):
    watcher = Watcher([site])
    found = []
    stop = threading.Event()

    def poll():
        while not stop.is_set():
            found.extend(names(watcher.poll().added))

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    expected = [f"name{number}" for number in range(60)]
    for name in expected:
        install(site, name)
    deadline = time.monotonic() + 30
    while len(found) < len(expected) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(expected)


def test_a_forked_child_can_poll_although_another_thread_was_polling(site):
    watcher = Watcher([site])
    for number in range(30):
        install(site, f"name{number}")
    stop = threading.Event()

    def poll():
        while not stop.is_set():
            (site / "moved").touch()
            watcher.poll()
            (site / "moved").unlink()

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        for _ in range(30):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    watcher.poll()
                    status = 0 if len(watcher.installed()) == 30 else 2
                finally:
                    os._exit(status)
            deadline = time.monotonic() + 20
            pid = 0
            while not pid:
                pid, status = os.waitpid(child, os.WNOHANG)
                if time.monotonic() > deadline:
                    os.kill(child, 9)
                time.sleep(0.001)
            assert status == 0
    finally:
        stop.set()
        thread.join()
