"""The watcher on a file system whose clock ticks once a second: ext3, on a loop device.

It needs root, to mount; only this test sees the mount.
"""

import json
import os
import pathlib
import sys

import pytest
from support.checkout import READER, TESTS
from support.interpreters import INTERPRETERS, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a file system")

MOUNTED = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from support import private_mounts
private_mounts.begin()
with private_mounts.mounted("-o", "loop", sys.argv[2], sys.argv[3]):
    os.mkdir(os.path.join(sys.argv[3], "site"))
    sys.exit(subprocess.run(sys.argv[4:]).returncode)
"""


@pytest.fixture
def on_ext3(tmp_path):
    """A function that runs a command with a new file system mounted; returns its output."""
    mount = tmp_path / "mount"
    mount.mkdir()

    def on_ext3(*command):
        image = tmp_path / "image"
        with open(image, "wb") as file:
            file.truncate(32 << 20)
        # Only larger inodes have room for fractions of a second.
        run("mkfs.ext3", "-q", "-F", "-I", "128", image)
        around = [sys.executable, "-c", MOUNTED, TESTS, image, mount]
        return run(*around, *command, timeout=180)

    on_ext3.site = mount / "site"
    return on_ext3


def two_in_a_second(on_ext3, version, trusted):
    """The output of `coarse_clock.py`."""
    script = pathlib.Path(__file__).with_name("coarse_clock.py")
    # -B, since a __pycache__ in the directory would change its stamp.
    command = INTERPRETERS[version], "-S", "-E", "-B", script, READER, on_ext3.site, trusted
    return json.loads(on_ext3(*command))


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.13"])
def test_a_second_package_of_the_same_second_is_importable_after_a_poll(version, on_ext3):
    found = two_in_a_second(on_ext3, version, "guard")
    mtime, ctime, _, _ = found["stamp"]
    assert mtime % 1_000_000_000 == ctime % 1_000_000_000 == 0
    # From 3.10 on importlib.metadata caches listings, as the import system always has.
    known = "1" if version == "3.9" else None
    assert found["plain"] == {"imported": False, "version": known}
    assert found["added"] == [f"second{found['number']}"]
    assert found["after"] == {"imported": True, "version": "1"}
    assert found["at once"] == found["later"] == 0
    # Written twice within that second, with the same stamps: only its text differs once they have settled.
    assert found["rewritten"] == [f"second{found['number']}"]


def test_a_watcher_that_trusts_young_stamps_misses_it(on_ext3):
    """Guards the test above: it is the guard that finds the second package."""
    found = two_in_a_second(on_ext3, "3.13", "stamp")
    assert found["plain"] == found["after"] == {"imported": False, "version": None}
    assert found["added"] == found["rewritten"] == []
