"""How much longer pip takes with the hook that refreshes the index at exit.

Whole runs of pip vary by more than the hook takes, unless the machine is idle. So the bound applies to
the time spent in the hook itself, measured within pip: when pip is imported, and when it exits. The
difference of whole runs, with and without the hook, is reported as well.
"""

import base64
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import time
import zipfile
from pathlib import Path

import reading
import site_directory
from processes import Failed, Pairs
from report import Row

DISTRIBUTIONS = 500
BOUND = 20  # ms
RUNS = 12
PATIENCE = 5  # s
# Runs pip with the hook; the last line is the time in ms. Imports that pip makes anyway do not count.
TIMED = """
import atexit, contextlib, subprocess, sys, time
import pip
start = time.perf_counter()
import epcache._pip_hook
epcache._pip_hook.register()
watching = time.perf_counter() - start
atexit.unregister(epcache._pip_hook._at_exit)

def at_exit():
    start = time.perf_counter()
    epcache._pip_hook._at_exit()
    print((watching + time.perf_counter() - start) * 1000)

atexit.register(at_exit)
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
COMMANDS = {
    "install": ["install", "--quiet", "--no-deps", "--no-index", "--force-reinstall"],
    "list": ["list"],
}


def rows(scratch, epcache, machine):
    """Measure with the oldest and the newest interpreter; yields `Row`s."""
    wheel = _wheel(Path(scratch))
    found = reading.interpreters()
    for version, python in dict.fromkeys([found[0], found[-1]]):
        with_hook, without = [
            Environment(Path(scratch) / name, python, epcache, machine) for name in ("hooked", "normal")
        ]
        with_hook.enable()
        # If distributions are younger than three seconds, the reader checks the directory twice.
        time.sleep(reading.INSTALLING)
        for name, command in COMMANDS.items():
            command = [*command, wheel] if name == "install" else command
            for environment in (with_hook, without):
                environment.pip(command)
                environment.refresh()

            def run(environment, command=command):
                return lambda: environment.pip(command)

            pairs = Pairs.of_runs(RUNS, lambda number: None, run(with_hook), run(without))
            in_hook = [with_hook.time_in_hook(command) for _ in range(RUNS)]
            with_hook.check("fresh", "unsettled")
            without.check(*(["stale"] if name == "install" else ["fresh", "unsettled"]))
            yield _row(version, with_hook.pip_version, name, pairs, in_hook)
        for environment in (with_hook, without):
            shutil.rmtree(environment.directory)


def _row(version, pip_version, name, pairs, in_hook):
    differences = [ours - theirs for ours, theirs in zip(pairs.ours, pairs.theirs)]
    low, difference, high = statistics.quantiles(differences, n=4)
    ours, theirs = pairs.medians()
    first, median, third = statistics.quantiles(in_hook, n=4)
    missed = []
    if median > BOUND:
        missed.append(f"pip {name}, Python {version}: {median:.1f} ms in the hook, not {BOUND}")
    cells = {
        "Python": version,
        "pip": pip_version,
        "command": f"`pip {name}`",
        "with the hook": f"{ours:.0f} ms",
        "without": f"{theirs:.0f} ms",
        "longer by": f"{difference:.1f} ms ({low:.1f} to {high:.1f})",
        "in the hook": f"**{median:.1f} ms** ({first:.1f} to {third:.1f}); ≤ {BOUND}",
    }
    return Row("hook", cells, missed)


class Environment:
    """A virtual environment of many distributions, with the bundled pip of the interpreter and epcache."""

    def __init__(self, directory, python, epcache, machine):
        self.directory = directory
        self.python = directory / "bin/python"
        self.program = directory / "bin/epcache"
        self._machine = machine
        subprocess.run([python, "-m", "venv", directory], check=True)
        (self.site,) = directory.glob("lib/python3.*/site-packages")
        made = directory / "made"
        site_directory.make(made, site_directory.distributions(DISTRIBUTIONS))
        for path in made.iterdir():
            path.rename(self.site / path.name)
        made.rmdir()
        shutil.copy(epcache, self.program)
        for package in (reading.PACKAGE, reading.PACKAGE.with_name("epcache_startup")):
            shutil.copytree(package, self.site / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        self.pip_version = self._output(self.python, "-m", "pip", "--version").split()[1]
        self.refresh()

    @staticmethod
    def _output(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def enable(self):
        """Have pip refresh the index."""
        self._output(self.program, "enable", "--pip-hook", self.site)

    def refresh(self):
        """Refresh the index now."""
        self._output(self.program, "refresh", self.site)

    def pip(self, arguments):
        """Run pip; returns its `Run`."""
        return self._run("-m", "pip", *arguments)

    def time_in_hook(self, arguments):
        """The time in ms that pip spends in the hook."""
        return float(self._run("-c", TIMED, *arguments).output.splitlines()[-1])

    def _run(self, *arguments):
        variables = {"HOME": str(self.directory), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return self._machine.run([self.python, *arguments], environment=variables)

    def check(self, *states):
        """Fail unless the index is in one of the states, now or soon: the refresh must have happened."""
        end = time.monotonic() + PATIENCE
        while True:
            command = [self.program, "status", "--json", self.site]
            output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            (status,) = json.loads(output)
            if status["state"] in states:
                return
            if time.monotonic() > end:
                raise Failed(f"{self.site}: {status['state']} after pip, not {' or '.join(states)}")
            time.sleep(0.05)


def _wheel(directory):
    """A wheel with one module and one entry point."""
    info = "probe-1.0.dist-info"
    files = {
        "probe.py": "def run():\n    pass\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[probe]\nprobe = probe:run\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    path = directory / "probe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return os.fspath(path)
