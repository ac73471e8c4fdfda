"""Unmodified programs print the same with acceleration, and read fewer files."""

import concurrent.futures
import os
import shutil

import pytest

from . import latecomer
from .environment import Environment, run, variables
from .programs import PROGRAMS
from .traced import start

NAMES = [program.name for program in PROGRAMS]
LATE = f"{latecomer.NAME}-{latecomer.VERSION}.dist-info"


class Ways:
    """Every program in every state of the environment.

    plain, late: without acceleration, before and after another distribution was installed; fresh,
    stale: the same with acceleration, with an index made before.
    """

    def __init__(self, version, binary, scratch):
        self.environment = Environment(version)
        self._binary = binary
        self._scratch = scratch
        wheel = latecomer.wheel(scratch)
        self.runs = {}
        self.plain = self._all("plain")
        self.environment.install(wheel)
        self.late = self._all("late")
        self.late_by_module = self._strictly("late")
        self.environment.uninstall(latecomer.NAME)
        self._epcache("enable", "--accelerate", self.environment.site)
        self._epcache("refresh", self.environment.site)
        self.fresh = self._all("fresh")
        self.state = self._epcache("status", self.environment.site)
        self.environment.install(wheel)
        self.stale = self._all("stale")
        self.stale_by_module = self._strictly("stale")
        self.environment.reset()

    def _epcache(self, *arguments):
        return run(self._binary, *arguments, env=variables(self._scratch))

    def _all(self, way):
        def one(item):
            number, program = item
            return start(self.environment, program, self._scratch / way / str(number))

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(NAMES, pool.map(one, enumerate(PROGRAMS))))

    def _strictly(self, way):
        """flake8, where every warning is an error."""
        python = [str(self.environment.bin / "python"), "-W", "error"]
        return start(self.environment, PROGRAMS[1], self._scratch / way / "strictly", *python)


@pytest.fixture(scope="session")
def ways(version, binary, tmp_path_factory):
    if not shutil.which("strace"):
        pytest.exit("tests/compat/programs needs strace", 2)
    return Ways(version, binary, tmp_path_factory.mktemp(version))


@pytest.fixture(params=PROGRAMS, ids=NAMES)
def program(request):
    return request.param


def test_output_is_the_same_with_a_fresh_index(ways, program):
    plain = ways.plain[program.name]
    assert plain.status == program.status, plain.errors
    assert ways.fresh[program.name].comparable_output() == plain.comparable_output()


def test_output_is_current_with_a_stale_index(ways, program):
    late = ways.late[program.name]
    assert ways.stale[program.name].comparable_output() == late.comparable_output()
    # The new plugin is in the output, so an answer from the stale index alone would differ.
    assert late.comparable_output() != ways.plain[program.name].comparable_output()


def test_with_a_fresh_index_distributions_are_not_read(ways, program):
    plain, fresh = ways.plain[program.name], ways.fresh[program.name]
    assert plain.files(program.reads) >= 30
    assert plain.files("index") == 0
    assert fresh.files("index") >= 1
    assert fresh.files("entry_points.txt") == 0


def test_with_a_stale_index_only_new_distributions_are_read(ways, program):
    stale = ways.stale[program.name]
    assert stale.files("index") >= 1
    read = {path for path in stale.read if path.endswith("/entry_points.txt")}
    assert read == ({f"{LATE}/entry_points.txt"} if program.reads == "entry_points.txt" else set())


def test_a_stale_index_gives_no_warning_where_warnings_are_errors(ways):
    late, stale = ways.late_by_module, ways.stale_by_module
    assert (late.status, late.errors) == (0, "")
    assert stale.comparable_output() == late.comparable_output()
    assert stale.files("index") >= 1


def test_the_index_stayed_fresh(ways):
    assert "fresh" in ways.state
