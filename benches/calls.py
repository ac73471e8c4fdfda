"""What programs ask `importlib.metadata` at their start, with acceleration and without.

The calls are in `calls_process.py`. Each runs in a process of its own, in two environments with the same
distributions, one of which is enabled. Measured are the processor's time, the files that are opened, the elapsed time
with nothing in the page cache, and that on a file system where each request takes a millisecond (`slow_fs.c`).
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import reading
import site_directory
from environments import INSTALLING, install_reader
from processes import HERE, Failed, Pairs
from report import Row

SIZES = (80, 600, 2000)
MAIN = 600  # the size of the bounds
ROUNDS = 9
COLD_ROUNDS = 3
NETWORK_ROUNDS = 9  # of the calls that take little more than the import; of all others one
DELAY = 1000  # µs for each request
PROGRAM = "calls_process.py"
# The groups that the calls ask for, which a few distributions have members of.
GROUPS = {
    "opentelemetry_instrumentor": 4,
    "opentelemetry_context": 1,
    "rdf.plugins.parser": 3,
    "kedro.global_commands": 2,
    "keyring.backends": 5,
    "flake8.extension": 7,
    "colcon_core.extension_point": 5,
    "napari.manifest": 3,
    "nbconvert.exporters": 6,
}

PIP = {
    "pip list": ("list", "--disable-pip-version-check"),
    "pip check": ("check",),
}
# How each is called in the page, and whether importing `importlib.metadata` counts: it does where that is most of it.
CALLS = {
    "opentelemetry": ("OpenTelemetry: six groups, two entry points", False),
    "rdflib": ("rdflib: eight groups", False),
    "kedro": ("kedro: seven groups", False),
    "ddtrace": ("ddtrace: names, versions, packages", False),
    "keyring": ("keyring: one group", False),
    "pytest": ("pytest, tox, all of pluggy: one group of each distribution", False),
    "flake8": ("flake8: plugins with their names", False),
    "colcon": ("colcon: names and entry points", False),
    "npe2": ("npe2 (napari): one group of each distribution", False),
    "airflow": ("Airflow: names and entry points", False),
    "stevedore": ("stevedore: all, for its own cache", False),
    "transformers": ("transformers: `packages_distributions()`", False),
    "nbconvert": ("jupyter nbconvert: two groups", False),
    "names_and_versions": ('`{d.metadata["Name"]: d.version}`', False),
    "click": ("click: one `version()`, with the import", True),
    "nothing": ("`import importlib.metadata` alone", True),
    "pip list": ("`pip list`, whole", True),
    "pip check": ("`pip check`, whole", True),
}
# How many times as fast, at the main size.
AT_LEAST = {
    "processor": {"airflow": 5, "colcon": 5, "stevedore": 5, "click": 1, "pip list": 1.22, "pip check": 1.26},
    "network": {"names_and_versions": 15, "click": 1, "nothing": 1},
}


def facts():
    """The conditions of the measurement, for the page."""
    return {"network_rounds": NETWORK_ROUNDS}


def rows(base, epcache, machine):
    """Measure everything; yields `Row`s."""
    slow_fs = _compile(base)
    measured = {}
    for size in SIZES:
        if Pairs.quick and size != MAIN:
            continue
        with Environments(Path(base, "calls"), size, epcache, machine) as environments:
            for call in CALLS:
                found = {
                    "processor": environments.processor(call, ROUNDS),
                    "files": environments.files(call),
                    "cold": environments.cold(call, COLD_ROUNDS),
                    "network": environments.network(call, slow_fs),
                }
                for what, value in found.items():
                    measured.setdefault(what, {}).setdefault(call, {})[size] = value
    for what, calls in measured.items():
        for call, sizes in calls.items():
            yield Row.of_call(what, CALLS[call][0], sizes, MAIN, AT_LEAST.get(what, {}).get(call))


def _compile(base):
    program = f"{base}/slow_fs"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True, check=False
    )
    if flags.returncode != 0:
        raise Failed("needs libfuse 3 (Debian: apt-get install libfuse3-dev pkg-config)")
    subprocess.run(["cc", "-O2", "-o", program, HERE / "slow_fs.c", *flags.stdout.split()], check=True)
    return program


class Environments:
    """Two environments with the same distributions, one of them accelerated."""

    def __init__(self, directory, size, epcache, machine):
        self._directory = directory
        self._size = size
        self._epcache = epcache
        self._machine = machine
        self._accelerated, self._plain = directory / "accelerated", directory / "plain"

    def __enter__(self):
        _, python = reading.interpreters()[-1]
        self._directory.mkdir()
        contents = site_directory.distributions(self._size)
        may_have_some = [one for one in contents if one.kind == "dist-info"]
        number = 0
        for group, count in GROUPS.items():
            for _ in range(count):
                distribution = may_have_some[number % len(may_have_some)]
                distribution.entry_points[group] = [
                    ("html" if number % 2 else "one", f"{distribution.module}:run")
                ]
                number += 1
        self._some = contents[self._size // 2]
        for place in (self._accelerated, self._plain):
            subprocess.run([python, "-m", "venv", place], check=True)
            (site,) = place.glob("lib/python3.*/site-packages")
            site_directory.add(site, contents)
            shutil.copy(HERE / PROGRAM, place / "bin")
        (site,) = self._accelerated.glob("lib/python3.*/site-packages")
        install_reader(site)
        for place in (self._accelerated, self._plain):
            compiled = [place / "bin/python", "-I", "-m", "compileall", "-q", place / "lib"]
            subprocess.run(compiled, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(INSTALLING)
        for arguments in (["enable", "--accelerate"], ["refresh"], ["status"]):
            command = [self._epcache, *arguments, site]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failed(f"{command}: {done.stdout}{done.stderr}")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._directory)

    def _command(self, place, call):
        if call in PIP:
            return [place / "bin/python", "-m", "pip", *PIP[call]]
        return [place / "bin/python", place / "bin" / PROGRAM, call, self._some.project]

    def _run(self, place, call):
        """The run of a call in an environment."""
        status = _status(call)
        return self._machine.run(
            self._command(place, call),
            environment=_variables(place),
            status=status,
            may_complain=status != 0,
        )

    def _pairs(self, call, rounds, value, around=contextlib.nullcontext):
        pairs = Pairs()
        for number in range(rounds):
            values, answers = {}, set()
            for place in (self._plain, self._accelerated)[:: 1 if number % 2 else -1]:
                with around():
                    run = self._run(place, call)
                values[place] = value(run)
                answers.add(run.output if call in PIP else json.loads(run.output)["answer"])
            # The accelerated environment has no metadata of epcache, so that the answers are equal.
            if len(answers) != 1:
                raise Failed(f"{call}: different answers: {str(answers)[:2000]}")
            pairs.add(values[self._accelerated], values[self._plain])
        return pairs

    def processor(self, call, rounds):
        """Processor time: beyond the import, or of the whole process where that counts."""

        def value(run):
            return run.processor if CALLS[call][1] else json.loads(run.output)["call"][0]

        return self._pairs(call, Pairs.count(rounds), value)

    def cold(self, call, rounds):
        """Elapsed time with nothing in the page cache."""
        return self._pairs(call, Pairs.count(rounds), _elapsed, _dropped_caches)

    def network(self, call, slow_fs):
        """Elapsed time where each request takes a time."""
        rounds = Pairs.count(NETWORK_ROUNDS) if CALLS[call][1] and call not in PIP else 1
        return self._pairs(call, rounds, _elapsed, lambda: _slow(slow_fs, self._directory))

    def files(self, call):
        """How many files and directories below the environment are opened."""
        return tuple(self._opened(place, call) for place in (self._accelerated, self._plain))

    def _opened(self, place, call):
        trace = self._directory / "trace"
        command = ["strace", "-f", "-qq", "-e", "trace=open,openat", "-o", trace, *self._command(place, call)]
        done = subprocess.run(
            command, env={"PATH": "/usr/bin:/bin", **_variables(place)}, capture_output=True, check=False
        )
        if done.returncode != _status(call):
            raise Failed(f"{command}: {done.returncode}: {done.stderr}")
        opened = re.compile(rf'"{re.escape(str(place))}/lib[^"]*".* = \d+$', re.MULTILINE)
        return len(opened.findall(trace.read_text()))


def _status(call):
    """The exit status: the synthetic distributions require some that are not there."""
    return 1 if call == "pip check" else 0


def _variables(place):
    # pip chooses importlib.metadata by itself from Python 3.11 on.
    return {"HOME": str(place), "PYTHONDONTWRITEBYTECODE": "1", "_PIP_USE_IMPORTLIB_METADATA": "1"}


def _elapsed(run):
    """The time of the import and of the call; of the whole process for a program."""
    try:
        found = json.loads(run.output)
    except ValueError:
        return run.milliseconds
    return found["import"][1] + found["call"][1]


@contextlib.contextmanager
def _dropped_caches():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    yield


@contextlib.contextmanager
def _slow(program, directory):
    """Mount the slow file system over a directory."""
    with subprocess.Popen([program, str(DELAY), directory], stderr=subprocess.PIPE, text=True) as process:
        try:
            for _ in range(500):
                if os.path.ismount(directory):
                    break
                if process.poll() is not None:
                    raise Failed(f"slow_fs: {process.stderr.read()}")
                time.sleep(0.01)
            yield
        finally:
            subprocess.run(["umount", directory], check=False, capture_output=True)
            process.wait()
