"""The file systems for histories, each made anew and removed with the process.

All are mounted in a mount namespace of this process (`begin`), their images on a tmpfs in it: nothing
remains, however the process ends.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

from support import private_mounts

MIB = 1 << 20
SECOND = 10**9


class Unavailable(Exception):
    """This machine lacks the file system; the text gives the reason."""


class Filesystem:
    """A mounted file system; `top` is the directory for histories."""

    remembers = 0  # seconds for which attributes may be outdated

    def __init__(self, name, place):
        self.name = name
        self.place = place
        self.top = place / "top"

    def mount(self):
        os.makedirs(self.top)
        return self

    def make_room(self, number, prepare):
        """A directory for one history, in which `prepare` creates the initial content."""
        room = os.path.join(self.top, str(number))
        os.mkdir(room)
        prepare(room)
        return room

    def leave_room(self, number):
        shutil.rmtree(os.path.join(self.top, str(number)), ignore_errors=True)

    def behind_of(self, path):
        """The same file, accessed without this file system."""
        return path

    def set(self, **_settings):
        """Change settings that only the tests' own file system has."""

    def unmount(self):
        """Nothing to do: it ends with the namespace."""


class OnLoop(Filesystem):
    """A file system on a loop device."""

    def __init__(self, name, place, size, *make):
        super().__init__(name, place)
        self.size = size
        self.make = make

    def mount(self):
        if not shutil.which(self.make[0]):
            raise Unavailable(f"there is no {self.make[0]}")
        image = self.place / "image"
        with open(image, "wb") as file:
            file.truncate(self.size)
        run(*self.make, image)
        os.makedirs(self.top)
        try:
            run("mount", "-o", "loop,noatime", image, self.top)
        except subprocess.CalledProcessError as error:
            raise Unavailable(error.stderr.strip().splitlines()[0]) from None
        return self

    def unmount(self):
        run("umount", "--lazy", self.top)


class Tmpfs(Filesystem):
    """A separate tmpfs, although the images lie on one as well."""

    def mount(self):
        os.makedirs(self.top)
        run("mount", "-t", "tmpfs", "freshness", self.top)
        return self

    def unmount(self):
        run("umount", "--lazy", self.top)


class Overlay(OnLoop):
    """An ext4 on which each history has an overlay; its initial content is in the lower
    directory."""

    def __init__(self, name, place):
        super().__init__(name, place, 256 * MIB, "mkfs.ext4", "-q", "-F")

    def mount(self):
        super().mount()
        self.make_room("try", lambda root: None)
        self.leave_room("try")
        return self

    def parts(self, number):
        room = os.path.join(self.top, str(number))
        return [os.path.join(room, name) for name in ("lower", "upper", "work", "merged")]

    def make_room(self, number, prepare):
        parts = self.parts(number)
        for part in parts:
            os.makedirs(part)
        prepare(parts[0])
        self.mount_room(number)
        return parts[3]

    def mount_room(self, number):
        lower, upper, work, merged = self.parts(number)
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        try:
            run("mount", "-t", "overlay", "freshness", "-o", options, merged)
        except subprocess.CalledProcessError as error:
            raise Unavailable(error.stderr.strip().splitlines()[0]) from None

    def change_below(self, number, change):
        """Apply `change` to the lower directory while the overlay is not mounted; False if it is busy."""
        lower, _, _, merged = self.parts(number)
        try:
            run("umount", merged)
        except subprocess.CalledProcessError:
            return False  # a process that another thread is starting has inherited a file of it
        try:
            change(lower)
        finally:
            self.mount_room(number)
        return True

    def leave_room(self, number):
        run("umount", "--lazy", self.parts(number)[3])
        super().leave_room(number)


class Fuse(Filesystem):
    """The tests' own file system (see `fuse_server`), on top of a tmpfs."""

    def __init__(self, name, place, **settings):
        super().__init__(name, place)
        self.settings = settings
        self.remembers = settings.get("remembered", 0)

    def behind_of(self, path):
        return str(path).replace(str(self.top), str(self.behind), 1)

    def mount(self):
        if not os.path.exists("/dev/fuse"):
            raise Unavailable("there is no /dev/fuse")
        self.behind = self.place / "behind"
        for path in (self.top, self.behind):
            os.makedirs(path)
        ours, theirs = socket.socketpair()
        script = pathlib.Path(__file__).with_name("fuse_server.py")
        command = [sys.executable, "-S", "-E", "-B", script, self.behind, self.top, str(theirs.fileno())]
        self.server = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.control = ours.makefile("rw")
        ours.close()
        self.state = self.set(**self.settings)
        return self

    def set(self, **settings):
        self.control.write(json.dumps(settings) + "\n")
        self.control.flush()
        line = self.control.readline()
        if not line:
            raise Unavailable("the server of the file system has ended")
        return json.loads(line)

    def unmount(self):
        run("umount", "--lazy", self.top)
        self.control.close()
        self.server.wait(10)


def run(*command):
    command = [str(part) for part in command]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


KINDS = {
    "ext4": lambda at: OnLoop("ext4", at, 256 * MIB, "mkfs.ext4", "-q", "-F"),
    # Only larger inodes have room for fractions of a second.
    "ext3": lambda at: OnLoop("ext3", at, 256 * MIB, "mkfs.ext3", "-q", "-F", "-I", "128"),
    "xfs": lambda at: OnLoop("xfs", at, 512 * MIB, "mkfs.xfs", "-q"),
    "btrfs": lambda at: OnLoop("btrfs", at, 512 * MIB, "mkfs.btrfs", "-q"),
    "vfat": lambda at: OnLoop("vfat", at, 64 * MIB, "mkfs.vfat"),
    "tmpfs": lambda at: Tmpfs("tmpfs", at),
    "overlay": lambda at: Overlay("overlay", at),
    "fuse": lambda at: Fuse("fuse", at),
    "fuse-2s": lambda at: Fuse("fuse-2s", at, granule=2 * SECOND),
    "fuse-zero": lambda at: Fuse("fuse-zero", at, zero=True),
    "fuse-slow": lambda at: Fuse("fuse-slow", at, delay=0.0002),
    "fuse-nfs": lambda at: Fuse("fuse-nfs", at, remembered=1, locks="hang"),
}

TITLES = {
    "ext4": "ext4",
    "ext3": "ext3, inodes of 128 bytes",
    "xfs": "xfs",
    "btrfs": "btrfs",
    "vfat": "vfat",
    "tmpfs": "tmpfs",
    "overlay": "overlayfs on ext4",
    "fuse": "FUSE",
    "fuse-2s": "FUSE, stamps in steps of 2 s",
    "fuse-zero": "FUSE, all stamps 0",
    "fuse-slow": "FUSE, each call delayed",
    "fuse-nfs": "FUSE with the manners of NFS",
}


def begin(directory):
    """Make `directory` a tmpfs that only this process and its children see."""
    private_mounts.begin()
    run("mount", "-t", "tmpfs", "freshness", directory)


def mounted(name, directory):
    """Mount a file system of a kind below `directory`; raises `Unavailable`."""
    place = pathlib.Path(directory, name)
    os.makedirs(place)
    return KINDS[name](place).mount()


def end(directory):
    """Remove everything."""
    run("umount", "--lazy", directory)
    os.rmdir(directory)
