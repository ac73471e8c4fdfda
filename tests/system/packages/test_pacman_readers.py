"""Programs that read while pacman works: at any time they get what plain importlib.metadata gives at that moment,
and never an error of ours.

strace delays each step of pacman, so that every state of the directory lasts long enough to be read (see
upgrade_reader.py).
"""

import pytest
from support import injection

from . import pacman_build
from .chroot import CommandFailed
from .rpm_machine import SITE
from .rpm_payload import Payload, dist_info

DELAY = 0.2  # s
STEPS = "unlink,unlinkat,rmdir,mkdir,mkdirat,openat,write,rename,renameat,renameat2"


def moving(version, release, value):
    payload = dist_info(SITE, "moving", version, value, release=str(release))
    # Kept from one version to the next, so that it does not change the site directory's times.
    payload.files[f"{SITE}/moving/__init__.py"] = "def run(): pass\n"
    return payload


# Beside it, nothing changes.
STILL = dist_info(SITE, "still", "1.0", "[probe]\nstill = still:run\n")
FIRST = moving("1.0", 1, "[probe]\nfirst = moving:run\n")
SECOND = moving("2.0", 1, "[probe]\nsecond = moving:run\n[other]\nthird = moving:run\n")
# The same names, times and sizes.
REBUILT = moving("2.0", 2, "[probe]\nsecond = moving:ran\n[other]\nthird = moving:ran\n")
# Has entry points only after a rebuild: an old index says that there are none.
BARE = moving("3.0", 1, "")
FILLED = moving("3.0", 2, "[probe]\nfourth = moving:run\n")
# Does not fit into its file system.
HUGE = Payload("huge", files={"/small/file": "x" * (1 << 20)})
PAYLOADS = [STILL, FIRST, SECOND, REBUILT, BARE, FILLED, HUGE]

FILES = [
    f"{SITE}/moving-{version}.dist-info{file}"
    for version in ("1.0", "2.0", "3.0")
    for file in ("", "/METADATA", "/entry_points.txt")
]


@pytest.mark.covers("pacman", "readers")
def test_readers_get_what_is_there_while_pacman_works(arch):
    machine = arch
    pacman_build.build(machine.system, PAYLOADS)
    machine.clear()
    machine.install(STILL, ours="first")
    machine.assert_right(SITE)

    def pacman(*arguments):
        slowly = injection.slowed(FILES, STEPS, DELAY)
        small = ("tmpfs", "size=64k", "/small")
        machine.system.run(*slowly, "pacman", "--noconfirm", "--noprogressbar", *arguments, mounts=[small])

    def install(*payloads):
        pacman("-U", *(f"/payloads/{pacman_build.file_name(payload)}" for payload in payloads))

    def work():
        for payload in (FIRST, SECOND, REBUILT, BARE):
            install(payload)
        # Fails after `moving` has changed, and no hook runs.
        with pytest.raises(CommandFailed):
            install(FILLED, HUGE)
        install(SECOND)
        pacman("-R", "moving")

    machine.check_beside(work, DELAY)
    machine.assert_right(SITE)
