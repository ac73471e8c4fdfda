"""How the program compares with its lower bound, for incremental and full refreshes."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import site_directory
from processes import Failed, Pairs
from report import Row

SITE = "usr/lib/python3/dist-packages"
USER = 64300
TICK = 0.03  # s; file stamps come from a clock that ticks every 10 ms at most


class Tree:
    """The tree of a system with one site directory of `count` distributions."""

    def __init__(self, base, count):
        self.root = Path(base, str(count))
        self.site = self.root / SITE
        self.contents = site_directory.distributions(count)
        self._with_entry_points = [
            distribution for distribution in self.contents if distribution.entry_points
        ]
        self._release = 0
        site_directory.make(self.site, self.contents)
        etc = self.root / "etc"
        etc.mkdir()
        (etc / "passwd").write_text(f"epcache:x:{USER}:{USER}::/:/usr/sbin/nologin\n")
        cache = self.root / "var/cache/epcache"
        cache.mkdir(parents=True)
        os.chown(cache, USER, USER)
        self.floor_index = self.root / "floor/index"
        self.floor_index.parent.mkdir()

    def change(self):
        """Install another release of one distribution, and wait for the next clock tick."""
        self._release += 1
        changed = self._with_entry_points[self._release * 7 % len(self._with_entry_points)]
        site_directory.replace(self.site, changed, self._release)
        time.sleep(TICK)
        return changed.directory


class Caller:
    """A way to call the program: command, user, and the place of the index."""

    def __init__(self, tree, epcache, machine, as_root):
        self.tree = tree
        self.index = (
            tree.root / "var/cache/epcache" / SITE / "index" if as_root else tree.site / ".epcache/index"
        )
        self._epcache = epcache
        self._machine = machine
        self._user = None if as_root else USER
        self._environment = {"DPKG_ROOT": str(tree.root)} if as_root else {}
        self._incremental = ["trigger", "dpkg", "--json"] if as_root else ["refresh", "--json", tree.site]
        self._full = ["refresh", "--full", *(["--system", "--root", tree.root] if as_root else [tree.site])]
        self._verify = ["verify", "--system", "--root", tree.root] if as_root else ["verify", tree.site]
        self._floor = "incremental" if as_root else "thorough"
        os.chown(tree.site, *((0, 0) if as_root else (USER, USER)))
        os.chown(tree.floor_index.parent, *((0, 0) if as_root else (USER, USER)))
        self.changed = None

    def prove(self):
        """Make the index; then show that a change is found, and that nothing else is read."""
        self._run(self._incremental)
        self.is_right(True)
        self.changed = self.tree.change()
        self.is_right(False)
        report = json.loads(self._run(self._incremental).output)
        found = [report[key] for key in ("added", "updated", "removed", "read")]
        if found != [[], [self.changed], [], [self.changed]]:
            raise Failed(f"{self.changed} was changed, and the report is {str(found)[:500]}")
        self.is_right(True)
        shutil.copy(self.index, self.tree.floor_index)

    def settle(self):
        """Make an index that is fresh by the site directory's stamp alone."""
        report = json.loads(self._run(self._incremental).output)
        if not report["settled"]:
            raise Failed(f"{self.index}: not settled")
        self.is_right(True)

    def is_right(self, expected):
        """Compare the index with the disk."""
        command = [self._epcache, *self._verify]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != (0 if expected else 1):
            raise Failed(f"{command}: exit status {done.returncode}: {done.stdout}{done.stderr}")

    def incremental(self, pairs):
        """Times with one change each, compared with the floor."""

        def before(_):
            self.changed = self.tree.change()

        def floor():
            arguments = [self._floor, self.tree.site, self.changed, self.tree.floor_index]
            return self._machine.run([self._machine.floor, *arguments], self._user)

        return Pairs.of_runs(pairs, before, lambda: self._counted(self._incremental, 1, 1), floor)

    def unchanged(self, pairs):
        """Times with nothing to do, compared with the floor."""

        def floor():
            arguments = ["unchanged", self.tree.site, self.tree.floor_index]
            return self._machine.run([self._machine.floor, *arguments], self._user)

        return Pairs.of_runs(pairs, lambda _: None, lambda: self._counted(self._incremental, 0, 0), floor)

    def full(self, pairs):
        """Times of full refreshes, compared with the floor."""

        def floor():
            arguments = ["full", self.tree.site, self.tree.floor_index]
            return self._machine.run([self._machine.floor, *arguments], self._user)

        count = len(self.tree.contents)
        return Pairs.of_runs(pairs, lambda _: None, lambda: self._counted(self._full, 0, count), floor)

    def everything(self):
        """One full refresh, whose warnings are ignored."""
        return self._machine.run(
            [self._epcache, *self._full], self._user, self._environment, may_complain=True
        )

    def _run(self, arguments):
        return self._machine.run([self._epcache, *arguments], self._user, self._environment)

    def _counted(self, arguments, updated, read):
        run = self._run(arguments)
        if "--json" in arguments:
            # What was changed in the last three seconds may be read again, to see whether it is final.
            report = json.loads(run.output)
            counts = [len(report[key]) for key in ("added", "updated", "removed")]
            right = counts == [0, updated, 0] and read <= len(report["read"]) <= report["carried"] + read
        else:
            carried = len(self.tree.contents) - read
            expected = f": 0 added, {updated} updated, 0 removed; {read} read, {carried} carried over in "
            right = expected in run.output
        if not right:
            raise Failed(f"{arguments}: expected {updated} updated and {read} read, got {run.output!r}")
        return run


def rows(base, epcache, machine):
    """Measure everything; yields `Row`s."""
    for count, pairs in ((500, 120), (10_000, 30)):
        tree = Tree(base, count)
        memory_bound = 32 if count == 10_000 else None
        caller = Caller(tree, epcache, machine, as_root=True)
        caller.prove()
        name = "`trigger dpkg`, one change"
        yield Row.against_floor(name, count, caller.incremental(pairs), bound=1.6, memory_bound=memory_bound)
        yield Row.against_floor("`trigger dpkg`, nothing to do", count, caller.unchanged(pairs), bound=1.3)
        yield Row.against_floor("`refresh --full --system`", count, caller.full(pairs), bound=1.5)
        caller.is_right(True)
        caller = Caller(tree, epcache, machine, as_root=False)
        caller.prove()
        name = "`refresh SITE` by its owner, one change"
        yield Row.against_floor(name, count, caller.incremental(pairs))
        caller.is_right(True)
        shutil.rmtree(tree.root)
