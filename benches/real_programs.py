"""How long real programs take with acceleration and without; and a plot of that.

They are those of `tests/compat/programs`, in two copies of the environment that is made there, one of which
is enabled. Nothing else is done to them.
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
    """What the page tells of how this was measured."""
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

            # What a first run writes into caches, stevedore's own among them, has been written.
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
    """A copy of an environment, by whose interpreter programs are run."""

    def __init__(self, original, directory, epcache, machine):
        self.directory = directory
        self._epcache = epcache
        self._machine = machine
        # With the times of the files, by which byte code is known to be of its source.
        subprocess.run(["cp", "-a", original.directory, directory], check=True)
        self._bin = directory / "bin"
        self._site = directory / original.site.relative_to(original.directory)
        # But as if everything had been installed here: a copy takes a minute to settle.
        for installer in self._site.glob("*.dist-info/INSTALLER"):
            installer.touch()
        self._home = directory / "home"
        self._home.mkdir()

    def fill(self, count):
        """Install distributions that nobody asks for, up to that number."""
        missing = count - sum(1 for _ in self._site.glob("*.dist-info"))
        contents = site_directory.distributions(count)[:missing]
        for distribution in contents:
            distribution.entry_points.pop(GROUP, None)
        made = self.directory / "made"
        site_directory.make(made, contents)
        for path in made.iterdir():
            path.rename(self._site / path.name)
        made.rmdir()

    def enable(self):
        """Accelerate what is run from now on."""
        self._call("enable", "--accelerate")
        self._call("refresh")

    def is_fresh(self):
        """Make sure that the index could be proven right by one look."""
        self._call("status")

    def _call(self, *arguments):
        command = [self._epcache, *arguments, self._site]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{command}: {done.stdout}{done.stderr}")

    def run(self, program):
        """How a program ran."""
        path = f"{self._bin}:/usr/bin:/bin"
        # The first line of a script names the interpreter of the original.
        command = [self._bin / "python", *program.command[1:]]
        if program.command[0] != "python":
            command.insert(1, self._bin / program.command[0])
        environment = variables(self._home, PATH=path, **program.variables)
        # A first run writes what pytest makes of its plugins.
        del environment["PYTHONDONTWRITEBYTECODE"]
        return self._machine.run(command, environment=environment, status=program.status, may_complain=True)
