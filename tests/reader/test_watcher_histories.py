"""Random histories of a site directory: the sum of the watcher's reports is what is installed.

Installers (see `watcher_installers`) run interleaved, are interrupted by polls after any of their steps, and
are killed. Only the watcher's monotonic clock is simulated; everything else is real.
"""

import importlib.metadata
import os
import random
import shutil
import time
import types

import pytest
from epcache import watcher as watching

from .watcher_installers import INSTALLERS, directory, run

HISTORIES = int(os.environ.get("EPCACHE_WATCHER_HISTORIES", "100"))
NAMES = ["alpha", "be-ta", "gamma", "delta"]


class Clock:
    def __init__(self):
        self.passed = 0.0

    def monotonic_ns(self):
        return time.monotonic_ns() + int(self.passed * 1e9)


class Operation:
    """A running installer of one name."""

    def __init__(self, kind, steps, site, name, old, new, now):
        self.kind = kind
        self.steps = steps
        self.place = new and directory(site, name, new)
        self.old = old
        self.new = new
        self.began = now


class History:
    def __init__(self, seed, site, clock):
        self.random = random.Random(seed)
        self.site = site
        self.clock = clock
        self.installed = {}
        self.operations = {}
        self.broken = set()
        self.versions = 0
        self.story = [f"seed {seed}"]
        self.watcher = watching.Watcher([site])
        self.reported = {}

    def begin(self):
        idle = [name for name in NAMES if name not in self.operations and name not in self.broken]
        if not idle:
            return
        name = self.random.choice(idle)
        kind = self.random.choice(sorted(INSTALLERS))
        install, upgrade, uninstall = INSTALLERS[kind]
        old = self.installed.get(name)
        self.versions += 1
        new = f"{self.versions}.0"
        if old is None:
            steps = install(self.site, name, new)
        elif self.random.random() < 0.4:
            steps, new = uninstall(self.site, name, old), None
        else:
            if self.random.random() < 0.3:
                new = old
            steps = upgrade(self.site, name, old, new)
        self.story.append(f"{kind}: {name} {old} -> {new}")
        self.operations[name] = Operation(kind, steps, self.site, name, old, new, self.clock.passed)

    def advance(self, steps=None):
        if not self.operations:
            return
        name = self.random.choice(sorted(self.operations))
        operation = self.operations[name]
        for _ in range(steps or self.random.choice([1, 1, 2, 3, 8, 40])):
            try:
                next(operation.steps)
            except StopIteration:
                self.story.append(f"done: {name}")
                self.installed[name] = operation.new
                del self.operations[name]
                return

    def kill(self):
        if self.operations:
            name = self.random.choice(sorted(self.operations))
            self.story.append(f"killed: {name}")
            del self.operations[name]
            self.broken.add(name)

    def clean_up(self):
        """Delete the files of a killed installer."""
        for name in sorted(self.broken):
            stem = name.replace("-", "_")
            for path in list(self.site.iterdir()):
                if path.name.partition("-")[0].lstrip("~") in (stem, stem[1:]):
                    shutil.rmtree(path)
            self.installed[name] = None
        self.broken.clear()
        self.story.append("cleaned up")

    def wait(self, seconds):
        self.story.append(f"{seconds} s pass")
        self.clock.passed += seconds

    def poll(self):
        changes = self.watcher.poll()
        self.story.append(f"poll: {changes}")
        assert bool(changes) == (changes != ((), (), ()))
        for one in changes.removed:
            assert self.reported.pop(one.name) == one.version
            # Nothing is there, or a killed installer has not written it.
            assert not os.path.exists(f"{one.path}/METADATA") or not os.path.getsize(f"{one.path}/METADATA")
            operation = self.operations.get(one.name)
            # Not while it is being replaced, unless that takes long.
            fresh = operation and operation.began == self.clock.passed
            assert not (fresh and operation.old and operation.new), one
        for one in changes.added:
            assert one.name not in self.reported
            assert one.previous_version is None
        for one in changes.updated:
            assert self.reported[one.name] == one.previous_version
        for one in changes.added + changes.updated:
            self.reported[one.name] = one.version
            with open(f"{one.path}/METADATA") as file:
                assert f"\nName: {one.name}\nVersion: {one.version}\n" in file.read()
            operation = self.operations.get(one.name)
            fresh = operation and operation.began == self.clock.passed and operation.new != operation.old
            if fresh and str(operation.place) == one.path:
                assert operation.kind != "rpm" and os.path.exists(f"{one.path}/INSTALLER"), one
        return changes

    def come_to_rest(self):
        while self.operations:
            self.advance(100)
        self.poll()
        self.wait(3.1)
        self.poll()
        if self.broken:
            self.wait(61)
            self.poll()
        self.wait(3.1)
        self.poll()
        found = {}
        for distribution in importlib.metadata.distributions(path=[str(self.site)]):
            if distribution.metadata.get("Name") and not distribution._path.name.startswith("~"):
                found.setdefault(distribution.metadata["Name"], set()).add(distribution.version)
        # A killed rpm may leave two distributions of one name.
        assert found.keys() == self.reported.keys()
        assert all(self.reported[name] in versions for name, versions in found.items())
        assert {one.name: one.version for one in self.watcher.installed()} == self.reported
        for name in self.reported.keys() - self.broken:
            assert self.reported[name] == self.installed[name]
        assert not self.poll()

    def run(self, steps):
        for _ in range(steps):
            choice = self.random.random()
            if choice < 0.5:
                self.advance()
            elif choice < 0.65:
                self.begin()
            elif choice < 0.92:
                self.poll()
            elif choice < 0.96:
                self.wait(self.random.choice([0.5, 3.1, 3.1, 61]))
            elif choice < 0.97:
                self.kill()
            elif choice < 0.98:
                self.clean_up()
            else:
                self.come_to_rest()
        self.come_to_rest()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    fake = types.SimpleNamespace(monotonic_ns=clock.monotonic_ns, time_ns=time.time_ns)
    monkeypatch.setattr(watching, "time", fake)
    return clock


def test_reports_add_up_to_the_installed_distributions_after_any_history(tmp_path, clock):
    for seed in range(HISTORIES):
        site = tmp_path / f"site{seed}"
        site.mkdir()
        history = History(seed, site, clock)
        try:
            history.run(120)
        except Exception:
            print("\n".join(history.story[-60:]))
            raise
        shutil.rmtree(site)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)


@pytest.mark.parametrize("kind", INSTALLERS)
def test_a_poll_after_each_step_gives_one_report_an_operation(kind, tmp_path, clock):
    install, upgrade, uninstall = INSTALLERS[kind]
    site = tmp_path / "site"
    site.mkdir()
    watcher = watching.Watcher([site])

    def reports(steps):
        found = []
        for _ in steps:
            found += watcher.poll()
        clock.passed += 3.1
        found += watcher.poll()
        clock.passed += 3.1
        found += watcher.poll()
        return [(one.name, one.previous_version, one.version) for part in found for one in part]

    assert reports(install(site, "alpha", "1")) == [("alpha", None, "1")]
    assert reports(upgrade(site, "alpha", "1", "2")) == [("alpha", "1", "2")]
    assert reports(uninstall(site, "alpha", "2")) == [("alpha", None, "2")]
    # Removed before the next poll.
    run(install(site, "alpha", "3"))
    run(uninstall(site, "alpha", "3"))
    assert reports([]) == []
