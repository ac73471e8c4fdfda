"""Programs that read while pip and uv work: at any time they get what plain importlib.metadata gives at that moment,
and never an error of ours.

strace delays each step by which the files of the distribution come and go, so that every state of the directory lasts
long enough to be read (see upgrade_reader.py).
"""

import pytest
from support import injection, readers, wheels
from support.environments import uv
from support.interpreters import run

DELAY = 0.2  # s
STEPS = "openat,mkdir,rename,link,linkat,unlink,unlinkat,rmdir"
FILES = ["", "/METADATA", "/entry_points.txt", "/RECORD", "/INSTALLER"]


def made(directory, version, entry_points):
    directory.mkdir()
    return wheels.make(
        directory, "moving", version, **{f"moving-{version}.dist-info/entry_points.txt": entry_points}
    )


def assert_readers_right(environment, directory, commands):
    """Check the answers of readers beside the commands."""
    places = [f"{environment.site}/moving-{version}.dist-info{file}" for version in "12" for file in FILES]
    slowly = injection.slowed(places, STEPS, DELAY)

    def call(*command):
        return run(*command, env=environment.variables)

    def work():
        for command in commands:
            call(*slowly, *command)

    python, index = [environment.python, "-IB"], environment.site / ".epcache/index"
    readers.check_beside(work, call, python, environment.site, index, directory, delay=DELAY)
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
