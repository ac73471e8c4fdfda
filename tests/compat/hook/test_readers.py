"""Programs that read while pip and uv work: at any time they get what plain importlib.metadata gives at that moment,
and never an error of ours.

strace delays each step by which the files of the distribution come and go, so that every state of the directory lasts
long enough to be read (see upgrade_reader.py).
"""

import json
import time

import pytest
from support import wheels
from support.checkout import CHECKOUT
from support.environments import uv

READER = CHECKOUT / "tests/system/packages/upgrade_reader.py"
DELAY = 0.2  # s
STEPS = "openat,mkdir,rename,link,linkat,unlink,unlinkat,rmdir"
FILES = ["", "/METADATA", "/entry_points.txt", "/RECORD", "/INSTALLER"]


def made(directory, version, entry_points):
    directory.mkdir()
    return wheels.make(
        directory, "moving", version, **{f"moving-{version}.dist-info/entry_points.txt": entry_points}
    )


def slowly(environment, command):
    """Run it in the environment, with a delay after each step."""
    places = [f"{environment.site}/moving-{version}.dist-info{file}" for version in "12" for file in FILES]
    watched = [word for place in places for word in ("-P", place)]
    delays = ["-e", f"trace={STEPS}", "-e", f"inject={STEPS}:delay_exit={int(DELAY * 1e6)}"]
    status, _, complaint = environment.call(
        "strace", "-f", "-qq", "-o", "/dev/null", *watched, *delays, *command
    )
    assert status == 0, complaint


def assert_readers_right(environment, directory, commands):
    """Check the answers of readers beside the commands."""
    ready, stop = directory / "ready", directory / "stop"
    index = environment.site / ".epcache/index"
    command = [
        environment.python,
        "-IB",
        READER,
        environment.site,
        index,
        ready,
        stop,
        DELAY,
        "moving",
        "still",
    ]
    reader = environment.start(*command)
    try:
        while not ready.exists():
            assert reader.poll() is None, reader.communicate()
            time.sleep(0.02)
        for command in commands:
            slowly(environment, command)
    finally:
        stop.touch()
        status, output, errors = environment.finished(reader)
    assert status == 0, errors
    answers = json.loads(output)
    assert answers["wrong"] == [], errors
    # Other tests run at the same time. Of programs that start, few may have answered within a step.
    assert min(answers["judged"][:5]) > 5 and answers["states"] > 8, answers
    environment.assert_fresh()


@pytest.mark.parametrize(
    "installer",
    [pytest.param(name, marks=pytest.mark.covers(name, "readers")) for name in ("pip", "uv")],
)
def test_readers_get_what_is_there(newest, tmp_path, installer):
    environment = newest.hooked
    if installer == "pip":
        install = [environment.python, "-m", "pip", "install", "--no-index", "--force-reinstall"]
        uninstall = [environment.python, "-m", "pip", "uninstall", "--yes"]
    else:
        by_uv = [environment.program, "run", environment.site, "--", uv(), "pip"]
        install = [*by_uv, "install", "--python", environment.python, "--reinstall"]
        uninstall = [*by_uv, "uninstall", "--python", environment.python]
    newest.install(wheels.make(newest.wheels, "still", "1"))
    builds = [
        made(tmp_path / "first", "1", "[probe]\nfirst = moving:run\n"),
        made(tmp_path / "second", "2", "[probe]\nsecond = moving:run\n[other]\nthird = moving:run\n"),
        made(tmp_path / "rebuilt", "2", "[probe]\nsecond = moving:ran\n[new]\nthird = moving:ran\n"),
    ]
    commands = [[*install, build] for build in builds]
    assert_readers_right(environment, tmp_path, [*commands, [*uninstall, "moving"]])
