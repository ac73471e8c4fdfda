"""Programs that read while rpm, dnf and zypper work: at any time they get what plain importlib.metadata gives at that
moment, and never an error of ours.

strace delays each step by which the files of the distribution come and go, so that every state of the directory lasts
long enough to be read (see upgrade_reader.py).
"""

import pytest
from support import injection

from .rpm_machine import SITE
from .rpm_steps import MOVING, STILL, directory, install, succeeded
from .test_repositories import DNF, NAMES, ZYPPER, publish

DELAY = 0.2  # s
STEPS = "openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir"
SLOWLY = injection.slowed(sorted({f"{SITE}/{directory(payload)}" for payload in MOVING}), STEPS, DELAY)


def assert_readers_right(machine, commands):
    """Check the answers of readers beside the commands."""

    def work():
        for command in commands:
            machine.system.run(*SLOWLY, *command)

    machine.check_beside(work, DELAY)
    machine.assert_right(SITE)


@pytest.mark.covers("rpm", "readers")
def test_readers_get_what_is_there_while_rpm_works(bare):
    if bare.system.suite == "bookworm":
        pytest.skip("its Python does not have the site directory of the others")
    install(bare, STILL, ours="first")
    commands = [["rpm", "-U", f"/payloads/{payload.filename}"] for payload in MOVING]
    assert_readers_right(bare, [*commands, ["rpm", "-e", "moving"]])


@pytest.mark.parametrize(
    "installer",
    [
        pytest.param(installer, id=installer.name, marks=pytest.mark.covers(installer.name, "readers"))
        for installer in (DNF, ZYPPER)
    ],
)
def test_readers_get_what_is_there_while_an_installer_works(managed, installer):
    publish(managed, STILL, *MOVING, ours="first")
    succeeded(installer.run(managed, installer.install, *NAMES, "still"))
    commands = [[*installer.command, *installer.install, installer.spelled(payload)] for payload in MOVING]
    assert_readers_right(managed, [*commands, [*installer.command, *installer.remove, "moving"]])
