"""How much longer a transaction takes with registered hooks: none, one that runs `true`, many that do not match.

Each is a refresh by the owner of an environment after one distribution has been changed, as a whole process.
What it is compared with is the same refresh of a directory that is in no environment, where no hook is looked for.
"""

import os
import re
import statistics
import subprocess
import time
from pathlib import Path

import reading
import site_directory
from processes import Failed, Pairs
from refreshing import TICK, USER
from report import Row

DISTRIBUTIONS = 80
MANY = 100
PAIRS = 200
LONGER = {"none": 0.2, "many": 2}  # ms
TIMES_TRUE = 3
NAMES = {
    "none": "no hook registered",
    "one": "one hook, `true`, that runs",
    "many": f"{MANY} hooks, none matches",
}
REGISTRATION = 'description = "true"\ncommand = ["/usr/bin/true"]\n'
NO_MATCH = '[on]\ndistributions = ["no-such-{number}"]\n'


class Directory:
    """A site directory, in an environment whose hooks are enabled or in none."""

    def __init__(self, prefix, epcache, machine, registrations):
        self._machine = machine
        self._epcache = epcache
        # Site directories of environments are below `lib`.
        below = "other" if registrations is None else "lib"
        self.site = prefix / below / "python3.13/site-packages"
        contents = site_directory.distributions(DISTRIBUTIONS)
        # Always the same one: others would be read again for three seconds.
        self._changing = next(distribution for distribution in contents if distribution.entry_points)
        site_directory.make(self.site, contents)
        if registrations:
            hooks = prefix / "share/epcache/hooks.d"
            hooks.mkdir(parents=True)
            for number, text in enumerate(registrations):
                (hooks / f"hook-{number}.toml").write_text(text)
        for path in [prefix, *prefix.rglob("*")]:
            os.chown(path, USER, USER)
        if registrations is not None:
            self.run("enable", "--hooks")

    def change(self, release):
        """Install another release of one distribution."""
        site_directory.replace(self.site, self._changing, release)

    def run(self, command, *options):
        """Run the program for the directory as its owner; returns its `Run`."""
        return self._machine.run([self._epcache, command, *options, self.site], USER)

    def refresh(self):
        """A refresh that must find one change."""
        run = self.run("refresh")
        if not re.search(": 0 added, 1 updated, 0 removed; 1 read,", run.output):
            raise Failed(f"{self.site}: expected one change, got {run.output!r}")
        return run

    def runs_of_hooks(self):
        """How many hooks have run. If none has, the command fails."""
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        command += [self._epcache, "hooks", "log", "--site", self.site, "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.count('"output"')


def rows(scratch, epcache, machine):
    """Measure everything; yields `Row`s."""
    no_match = [REGISTRATION + NO_MATCH.format(number=number) for number in range(MANY)]
    registered = {"no environment": None, "none": [], "one": [REGISTRATION], "many": no_match}
    directories = {
        name: Directory(Path(scratch, "hooks", name.replace(" ", "-")), epcache, machine, registrations)
        for name, registrations in registered.items()
    }
    # What is younger than three seconds is read again.
    time.sleep(reading.INSTALLING)
    for directory in directories.values():
        directory.run("refresh")
    without = directories.pop("no environment")
    release = 0
    for name, directory in directories.items():
        true = []

        def before(_, directory=directory, true=true):
            nonlocal release
            release += 1
            without.change(release)
            directory.change(release)
            time.sleep(TICK)
            true.append(machine.run(["/usr/bin/true"], USER).milliseconds)

        pairs = Pairs.of_runs(PAIRS, before, directory.refresh, without.refresh)
        if directory.runs_of_hooks() != (name == "one"):
            raise Failed(f"{directory.site}: {directory.runs_of_hooks()} hooks have run")
        yield _row(name, pairs, statistics.median(true))


def _row(name, pairs, true):
    low, longer, high = pairs.difference()
    ours, theirs = pairs.medians()
    bound = LONGER.get(name, TIMES_TRUE * true)
    explained = f" ({TIMES_TRUE} times {true:.2f} ms)" if name == "one" else ""
    missed = [f"{NAMES[name]}: {longer:.2f} ms longer, not {bound:.2f}{explained}"] if longer > bound else []
    first, processor, third = pairs.processor.difference()
    cells = {
        "hooks": NAMES[name],
        "with": f"{ours:.2f} ms",
        "without": f"{theirs:.2f} ms",
        "longer by": f"**{longer:+.2f} ms** ({low:+.2f} to {high:+.2f})" + (", missed" if missed else ""),
        "bound": f"≤ {bound:.2f} ms{explained}",
        "processor time": f"{processor:+.2f} ms ({first:+.2f} to {third:+.2f})",
    }
    return Row("hooks", cells, missed)
