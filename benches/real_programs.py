"""How long real programs take with acceleration and without, as a table and a plot.

The programs are those of `tests/compat/programs`, in two copies of their environment, one of which is
enabled. They are unmodified.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import plot
import site_directory
from environments import GROUP, INSTALLING
from processes import Failed, Pairs
from report import Row

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from compat.programs.environment import CACHE, Environment, variables
from compat.programs.programs import PROGRAMS

PYTHON = "3.13"
MANY = 500
ROUNDS = 5
PLOT = ROOT / "docs/internals/programs.svg"


def facts():
    """The conditions of the measurement, for the page."""
    few = sum(1 for _ in (CACHE / PYTHON).glob("lib/python3.*/site-packages/*.dist-info"))
    return {"python": f"Python {PYTHON}", "rounds": ROUNDS, "few": few, "many": MANY}


def rows(base, epcache, machine):
    """Measure everything; yields `Row`s, and draws the plot."""
    original = Environment(PYTHON)
    copies = [Copy(original, Path(base, name), epcache, machine) for name in ("plain", "accelerated")]
    plain, accelerated = copies
    measured = {program.name: {} for program in PROGRAMS}
    for size in ("few", "many"):
        if size == "many":
            for copy in copies:
                copy.fill(MANY)
        time.sleep(INSTALLING)
        accelerated.enable()
        for program in PROGRAMS:

            def run(copy, program=program):
                return lambda: copy.run(program)

            # The caches that a first run writes, stevedore's among them, exist now.
            plain.run(program)
            accelerated.run(program)
            pairs = Pairs.of_runs(ROUNDS, lambda _: None, run(accelerated), run(plain))
            measured[program.name][size] = pairs.processor
        accelerated.is_fresh()
    for program in PROGRAMS:
        cells = {}
        for size in ("few", "many"):
            pairs = measured[program.name][size]
            ours, theirs = pairs.medians()
            low, ratio, high = pairs.ratio(invert=True)
            where = f"{facts()[size]} distributions"
            cells[f"{where}: without"] = f"{theirs:.0f} ms"
            cells["with" if size == "few" else "with it"] = f"{ours:.0f} ms"
            cells["ratio" if size == "few" else "the ratio"] = f"**{ratio:.2f}** ({low:.2f} to {high:.2f})"
        yield Row.of_program(program.name, cells)
    times = {
        name: {size: pairs.medians() for size, pairs in sizes.items()} for name, sizes in measured.items()
    }
    PLOT.write_text(plot.bars(times, facts()))
    for copy in copies:
        shutil.rmtree(copy.directory)


class Copy:
    """A copy of an environment, whose interpreter runs the programs."""

    def __init__(self, original, directory, epcache, machine):
        self.directory = directory
        self._epcache = epcache
        self._machine = machine
        # Keep the times of the files, which byte code is validated by.
        subprocess.run(["cp", "-a", original.directory, directory], check=True)
        self._bin = directory / "bin"
        self._site = directory / original.site.relative_to(original.directory)
        # As if everything had been installed now: the index of a copy takes a minute to settle.
        for installer in self._site.glob("*.dist-info/INSTALLER"):
            installer.touch()
        self._home = directory / "home"
        self._home.mkdir()

    def fill(self, count):
        """Install unrelated distributions, up to that number."""
        missing = count - sum(1 for _ in self._site.glob("*.dist-info"))
        contents = site_directory.distributions(count)[:missing]
        for distribution in contents:
            distribution.entry_points.pop(GROUP, None)
        site_directory.add(self._site, contents)

    def enable(self):
        """Accelerate all later runs."""
        self._call("enable", "--accelerate")
        self._call("refresh")

    def is_fresh(self):
        """Make sure that one stat proves the index."""
        self._call("status")

    def _call(self, *arguments):
        command = [self._epcache, *arguments, self._site]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{command}: {done.stdout}{done.stderr}")

    def run(self, program):
        """Run a program; returns its `Run`."""
        path = f"{self._bin}:/usr/bin:/bin"
        # The first line of a script names the interpreter of the original environment.
        command = [self._bin / "python", *program.command[1:]]
        if program.command[0] != "python":
            command.insert(1, self._bin / program.command[0])
        environment = variables(self._home, PATH=path, **program.variables)
        # In its first run pytest writes byte code of its plugins.
        del environment["PYTHONDONTWRITEBYTECODE"]
        return self._machine.run(command, environment=environment, status=program.status, may_complain=True)
