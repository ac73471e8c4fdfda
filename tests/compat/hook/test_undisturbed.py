"""pip behaves as before when the hook, the program or the environment is broken."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest
from support import wheels
from support.interpreters import INTERPRETERS, run

from .twins import READ, Twins

NOBODY = 65534


def script(path, text):
    path.unlink()
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def is_executable_by_nobody(python):
    return (
        subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", python, "-c", ""]).returncode == 0
    )


@pytest.mark.parametrize("state", ["missing", "not executable", "not a program", "a directory"])
def test_pip_works_without_a_runnable_program(newest, state):
    program = newest.hooked.program
    if state == "not executable":
        program.chmod(0o644)
    elif state == "not a program":
        program.write_bytes(b"\x7fELF, and nothing else")
    else:
        program.unlink()
        if state == "a directory":
            program.mkdir()
    for environment in newest:
        environment.variables["PATH"] = "/usr/bin:/bin"
    newest.install(wheels.make(newest.wheels, "probe", "1.0"))
    assert newest.hooked.state() == "stale"
    newest.hooked.assert_right()


def test_pip_works_without_the_package(twins):
    wheel = wheels.make(twins.wheels, "probe", "1.0")
    status, _, complaint = twins.pip("uninstall", "--yes", "epcache")
    assert (status, complaint) == (0, "")
    assert not twins.hooked.program.exists()
    assert (twins.hooked.site / "epcache.pth").exists()
    twins.install(wheel)


def test_pip_does_not_wait_for_a_slow_refresh(twins):
    done = twins.hooked.directory / "done"
    script(
        twins.hooked.program,
        f'echo "$$ $(cut -d" " -f6 /proc/$$/stat) $*" >{done}.part\nsleep 4\nmv {done}.part {done}\n',
    )
    wheel = wheels.make(twins.wheels, "probe", "1.0")
    # Like the pipe by which make notices that its children have ended.
    receiving, sending = os.pipe()
    process = twins.hooked.start(
        twins.hooked.python, "-m", "pip", "install", "--no-index", wheel, pass_fds=[sending]
    )
    os.close(sending)
    assert twins.hooked.finished(process)[0] == 0
    assert os.read(receiving, 1) == b""
    # All its streams are at their end, but the refresh is not.
    assert not done.exists()
    os.close(receiving)
    end = time.monotonic() + 20
    while not done.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    number, session, arguments = done.read_text().rstrip("\n").split(" ", 2)
    assert session == number
    assert arguments == f"refresh --after=pip -- {twins.hooked.site}"


def test_an_interrupt_while_the_refresh_runs_changes_nothing(twins):
    script(twins.hooked.program, "kill -INT $PPID\nsleep 0.5\n")
    twins.install(wheels.make(twins.wheels, "probe", "1.0"))
    assert twins.hooked.state() == "stale"


def test_a_child_that_pip_has_forked_refreshes_nothing(newest):
    calls = newest.hooked.directory / "calls"
    script(newest.hooked.program, f"echo once >>{calls}\n")
    code = """
import os, pip._internal, sys
os.mkdir(os.path.join(sys.argv[1], "another-1.0.dist-info"))
child = os.fork()
if child == 0:
    sys.exit(3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    status, output, complaint = newest.call(
        lambda environment: [environment.python, "-c", code, environment.site]
    )
    assert (status, output, complaint) == (3, "", "")
    time.sleep(0.5)
    assert calls.read_text() == "once\n"


def test_pip_without_standard_streams_is_unaffected(twins):
    wheel = wheels.make(twins.wheels, "probe", "1.0")
    shell = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    status, _, _ = twins.call(
        lambda environment: [*shell, environment.python, "-m", "pip", "install", "--no-index", "-qqq", wheel]
    )
    for environment in twins:
        assert (environment.site / "probe").exists() == (environment.site / "probe-1.0.dist-info").exists()
    assert (twins.hooked.site / "probe").exists()
    twins.hooked.assert_fresh()


def test_a_process_that_exits_immediately_is_unaffected(newest):
    code = "import os, pip._internal; os._exit(7)"
    assert newest.call(lambda environment: [environment.python, "-c", code]) == (7, "", "")


@pytest.fixture
def others():
    """Twins of another user than the one who runs pip, and a function that runs pip as that user."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    candidates = [*reversed(INTERPRETERS.values()), "/usr/bin/python3"]
    candidates = [python for python in candidates if shutil.which(python) and is_executable_by_nobody(python)]
    if not candidates:
        pytest.skip("no interpreter that another user may execute")
    directory = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    directory.chmod(0o755)
    try:
        twins = Twins(directory, None, None, python=candidates[0])
        (directory / "own").mkdir()
        os.chown(directory / "own", NOBODY, NOBODY)
        for environment in twins:
            environment.variables.update(
                HOME=f"{directory}/own", TMPDIR=f"{directory}/own", PATH="/usr/bin:/bin"
            )
            environment.variables.update(
                XDG_CACHE_HOME=f"{directory}/own", PIP_CACHE_DIR=f"{directory}/own/pip"
            )
        yield twins, ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    finally:
        shutil.rmtree(directory)


def test_pip_fails_as_before_in_an_environment_of_another_user(others):
    twins, become = others
    index = twins.hooked.site / ".epcache/index"
    before = index.stat()
    wheel = wheels.make(twins.wheels, "probe", "1.0")
    status, _, complaint = twins.call(
        lambda environment: [*become, environment.python, "-m", "pip", "install", "--no-index", wheel]
    )
    assert status == 1
    assert "Permission denied" in complaint
    assert index.stat() == before


def test_a_target_directory_of_another_user_gets_an_index_of_that_user(others):
    twins, become = others
    wheel = wheels.make(twins.wheels, "probe", "1.0")
    places = {environment: twins.wheels.parent / "own" / environment.directory.name for environment in twins}

    def command(environment):
        pip = [environment.python, "-m", "pip", "install", "--no-index"]
        return [*become, *pip, "--target", places[environment], wheel]

    status, _, complaint = twins.call(command)
    assert status == 0, complaint
    place = places[twins.hooked]
    twins.hooked.assert_fresh(place)
    assert (place / ".epcache/index").stat().st_uid == NOBODY
    command = [*become, twins.hooked.python, "-IB", "-c", READ, "epcache", "error", place]
    assert ["probe", "probe", "probe:run", "1.0"] in json.loads(run(*command, env=twins.hooked.variables))
