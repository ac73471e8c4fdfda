"""A private machine for a process: its system-wide site directories, its caches and its users.

A private mount namespace replaces `/etc` and `/var/cache` by copies that no other process sees and that
end with the process. So the commands run as on a real system, without `--root`.
"""

import os
import pathlib
import subprocess

from support import private_mounts

CACHE = pathlib.Path("/var/cache/epcache")
CACHE_USER = 43210
HOOK_CACHE = pathlib.Path("/var/cache/epcache-hooks")
HOOK_USER = 43211
OWNER = 54321


def begin(directory):
    """Set up this process's view of the machine; `directory` is where the copies are kept."""
    private_mounts.begin()
    kept = pathlib.Path(directory)
    kept.mkdir(parents=True)
    mount("-t", "tmpfs", "tmpfs", kept)
    for name in ("upper", "work"):
        (kept / name).mkdir()
    layers = f"lowerdir=/etc,upperdir={kept}/upper,workdir={kept}/work"
    mount("-t", "overlay", "-o", layers, "overlay", "/etc")
    users = (("epcache", CACHE_USER), ("epcache-hook", HOOK_USER))
    for file, line in (
        ("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n"),
        ("group", "{0}:x:{1}:\n"),
    ):
        path = pathlib.Path("/etc", file)
        others = [kept for kept in path.read_text().splitlines(True) if not kept.startswith("epcache")]
        path.write_text("".join([*others, *(line.format(*user) for user in users)]))
    pathlib.Path("/etc/epcache").mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/cache")
    for directory, user in ((CACHE, CACHE_USER), (HOOK_CACHE, HOOK_USER)):
        directory.mkdir()
        os.chown(directory, user, user)


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def unmount(place):
    subprocess.run(["umount", place], check=True)


def configure(patterns, root="/"):
    """Make the directories that match `patterns` the system-wide ones of the system at `root`."""
    listed = ", ".join(f'"{pattern}"' for pattern in patterns)
    place = pathlib.Path(root, "etc/epcache")
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.toml").write_text(f"site-directories = [{listed}]\n")


def environment(**more):
    """The environment of a command, which names no files of a real user."""
    return {"PATH": os.defpath, "HOME": "/nonexistent", "LC_ALL": "C", **more}
