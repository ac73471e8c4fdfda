"""Programs that read while rpm, dnf and zypper work: at any time they get what plain importlib.metadata gives at that
moment, and never an error of ours.

strace delays each step by which the files of the distribution come and go, so that every state of the directory lasts
long enough to be read (see upgrade_reader.py).
"""

import json
import shutil

import pytest

from .debian_system import HERE
from .rpm_machine import CACHE, SITE
from .rpm_steps import MOVING, STILL, directory, install, succeeded
from .test_repositories import DNF, NAMES, ZYPPER, publish

DELAY = 0.2  # s
STEPS = "openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir"
PLACES = " ".join(f"-P {SITE}/{name}" for name in sorted({directory(payload) for payload in MOVING}))
# $1: the delay in microseconds, $2: in seconds; then the commands.
SCRIPT = f"""
set -eu
delay=$1 limit=$2; shift 2
rm -f /srv/ready /srv/stop
python3 -I /srv/upgrade_reader.py {SITE} {CACHE}{SITE}/index /srv/ready /srv/stop "$limit" moving still \
    >/srv/answers 2>/srv/errors &
reader=$!
until [ -e /srv/ready ]; do sleep 0.05; kill -0 $reader; done
for command; do
    strace -f --seccomp-bpf -qq -o /dev/null {PLACES} -e trace={STEPS} -e inject={STEPS}:delay_exit=$delay $command
done
touch /srv/stop
wait $reader
"""


def assert_readers_right(machine, commands):
    """Check the answers of readers beside the commands."""
    shutil.copy(HERE / "upgrade_reader.py", machine.system.path("/srv"))
    lines = [" ".join(command) for command in commands]
    machine.system.run("sh", "-c", SCRIPT, "script", int(DELAY * 1e6), DELAY, *lines, timeout=180)
    errors = machine.system.path("/srv/errors").read_text()
    answers = json.loads(machine.system.path("/srv/answers").read_text())
    assert answers["wrong"] == [], errors
    assert min(answers["judged"]) > 0 and sum(answers["judged"]) > 50 and answers["states"] > 8, answers
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
