"""uv and rattler, killed or failing in the middle of an upgrade, and readers beside rattler.

Both remove the files of the old version, then its directory, then make the new one. No refresh runs in between.
"""

import signal
import subprocess

import pytest
from support import injection, readers, wheels
from support.checkout import READER, debug_program
from support.environments import CACHE, uv
from support.interpreters import INTERPRETERS, run

from .conda import Conda
from .places import Place, variables

OLD, NEW = "moving-1.0.dist-info", "moving-2.0.dist-info"
# Calls of both, in their order, and the path below the site directory.
KILLED = [
    ("rmdir", OLD),
    ("mkdir", NEW),
    ("linkat", f"{NEW}/entry_points.txt"),
    ("linkat", f"{NEW}/METADATA"),
]
# Where rattler can't link a file, it copies it.
FAILED = [("unlink", f"{OLD}/entry_points.txt"), ("linkat,openat", f"{NEW}/METADATA")]
DELAY = 0.1  # s
STEPS = "openat,mkdir,linkat,unlink,rmdir"


class Uv:
    def __init__(self, directory):
        self.wheels = {}
        environment = directory / "environment"
        run(INTERPRETERS["3.13"], "-m", "venv", "--without-pip", environment)
        self.python = environment / "bin/python"
        (self.site,) = environment.glob("lib/python3.*/site-packages")
        self.variables = variables(UV_CACHE_DIR=str(CACHE / "uv"))

    def add(self, wheel):
        """Make it possible to install this wheel."""
        self.wheels["=".join(wheel.name.split("-")[:2])] = wheel

    def command(self, *wanted):
        """What installs these, each as `name=version`."""
        return [uv(), "pip", "install", "--python", self.python, *(self.wheels[one] for one in wanted)]


class Rattler:
    def __init__(self, directory):
        conda = Conda(directory)
        self.python = conda.prefix / "bin/python"
        self.site = conda.site
        self.variables = variables(CONDA_PREFIX=str(conda.prefix))
        self.add, self.command = conda.add, conda.transaction


INSTALLERS = {"uv": Uv, "conda": Rattler}


def parameters(column, steps):
    """Each of the steps of each installer, and that column of docs/coverage.md."""
    return [
        pytest.param(name, *step, id=f"{name} {' '.join(step)}", marks=pytest.mark.covers(name, column))
        for name in INSTALLERS
        for step in steps
    ]


def at_first_version(directory, name):
    """The installer, which has installed the first version, and its environment with an index."""
    installer = INSTALLERS[name](directory)
    for version in ("1.0", "2.0"):
        installer.add(wheels.make(directory, "moving", version))
    place = Place(installer.site, [installer.python])
    run(*installer.command("moving=1.0"), env=installer.variables)
    place.refresh()
    return installer, place


def play(directory, name, file, interrupted, shows):
    """Upgrade with `interrupted` before the command, which must not succeed, and then again.

    `shows` says whether the site directory has changed by then.
    """
    installer, place = at_first_version(directory, name)
    upgrade = [str(word) for word in installer.command("moving=2.0")]
    done = subprocess.run([*interrupted(installer.site / file), *upgrade], env=installer.variables)
    assert done.returncode != 0 and not place.is_fresh()
    if shows:
        place.assert_right()
    else:
        # Until the next refresh, the index is believed.
        Place(installer.site, [installer.python], EPCACHE="strict").assert_right()
        with pytest.raises(AssertionError):
            place.assert_right()
    run(debug_program(), "refresh", place.site, env=place.variables)
    place.assert_right()

    run(*upgrade, env=installer.variables)
    assert ("moving", "2.0") in place.assert_right()


@pytest.mark.parametrize(("name", "call", "file"), parameters("killed", KILLED))
def test_after_a_killed_upgrade_answers_are_right(tmp_path, name, call, file):
    def interrupted(path):
        return injection.killed([path], call)

    play(tmp_path, name, file, interrupted, shows=call != "rmdir")


@pytest.mark.parametrize(("name", "call", "file"), parameters("killed", KILLED[:1]))
def test_epcache_run_refreshes_after_a_killed_upgrade(tmp_path, name, call, file):
    installer, place = at_first_version(tmp_path, name)
    killed = [*injection.killed([place.site / file], call), *installer.command("moving=2.0")]
    command = map(str, [debug_program(), "run", place.site, "--", *killed])
    assert subprocess.run(command, env=installer.variables).returncode == 128 + signal.SIGKILL
    place.assert_right()


@pytest.mark.parametrize(("name", "calls", "file"), parameters("failed", FAILED))
def test_after_a_failed_upgrade_answers_are_right(tmp_path, name, calls, file):
    def interrupted(path):
        return injection.failed([path], calls, "EIO")

    play(tmp_path, name, file, interrupted, shows=calls != "unlink")


@pytest.mark.covers("conda", "readers")
def test_readers_get_what_is_there_while_rattler_works(tmp_path):
    installer = Rattler(tmp_path)
    place = Place(installer.site, [installer.python])
    installer.add(wheels.make(tmp_path, "still", "1.0"))
    run(*installer.command("still=1.0"), env=installer.variables)
    place.refresh()
    names = ["", "/METADATA", "/entry_points.txt", "/RECORD", "/INSTALLER"]
    places = [f"{installer.site}/{directory}{file}" for directory in (OLD, NEW) for file in names]
    slowly = injection.slowed(places, STEPS, DELAY)

    def call(*command):
        return run(*command, env={**installer.variables, "PYTHONPATH": str(READER)})

    def work():
        for version, text in [("1.0", "[probe]\nfirst = x:y\n"), ("2.0", "[probe]\nx = x:y\n"), ("2.0", "")]:
            entry_points = f"moving-{version}.dist-info/entry_points.txt"
            installer.add(wheels.make(tmp_path, "moving", version, **{entry_points: text}))
            wanted = ["still=1.0", f"moving={version}"]
            call(*slowly, debug_program(), "run", place.site, "--", *installer.command(*wanted))
        call(*slowly, *installer.command("still=1.0"))

    python, index = [installer.python, "-PsB"], place.site / ".epcache/index"
    readers.check_beside(work, call, python, place.site, index, tmp_path, delay=DELAY)
    assert place.assert_right() == {("still", "1.0")}
