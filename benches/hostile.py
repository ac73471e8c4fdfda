"""Content that an untrusted user can put into a site directory, and how long it keeps root's program busy."""

import os
import shutil
import socket
import stat

from processes import Pairs
from refreshing import Caller, Tree
from report import Row

COUNT = 500
TIB = 1 << 40
DEEP = 200


def _fifo(path):
    os.mkfifo(path)


def _link_out(path):
    os.symlink("/etc/shadow", path)


def _link_to_itself(path):
    os.symlink(os.path.basename(path), path)


def _endless_device(path):
    os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, 5))  # /dev/zero


def _socket(path):
    # Bound by a short path: the name of a socket has 108 bytes.
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    os.close(directory)


def _sparse(path):
    with open(path, "wb") as file:
        file.truncate(TIB)


def _deep(path):
    os.makedirs(os.path.join(path, *["d"] * DEEP))


def _one_line(path):
    with open(path, "wb") as file:
        file.write(b"[" * 20_000)


def _noise(path):
    with open(path, "wb") as file:
        file.write(bytes(range(256)) * 80)


IN_THE_PLACE_OF_A_FILE = [
    _fifo,
    _link_out,
    _link_to_itself,
    _endless_device,
    _socket,
    _sparse,
    _deep,
    _one_line,
    _noise,
]
NAMES = ["\x1b]0;owned\x07{}", "{}\n{}", "\u202e{}", "{}$(reboot)`reboot`;", "{}\udcff"]


class HostileTree(Tree):
    """As many distributions as in a harmless directory, none of them well-formed."""

    def __init__(self, base, count):
        super().__init__(os.path.join(base, "hostile"), count)
        for number, distribution in enumerate(self.contents):
            path = self.site / distribution.directory
            if distribution.kind == "egg-info file":
                path.unlink()
                _link_out(path)
                continue
            name = ["METADATA" if distribution.kind == "dist-info" else "PKG-INFO", "entry_points.txt"]
            victim = path / name[number % 2]
            victim.unlink(missing_ok=True)
            IN_THE_PLACE_OF_A_FILE[number % len(IN_THE_PLACE_OF_A_FILE)](str(victim))
            if number % 3 == 0:
                odd = NAMES[number % len(NAMES)].format(number, number)
                odd += "x" * (200 - len(odd)) + "-1.dist-info"
                os.rename(path, os.path.join(os.fsencode(self.site), odd.encode("utf-8", "surrogateescape")))


def rows(base, epcache, machine):
    """Measure hostile directories; yields a `Row` for each."""
    harmless, hostile = (
        Caller(tree, epcache, machine, as_root=True) for tree in (Tree(base, COUNT), HostileTree(base, COUNT))
    )
    pairs = Pairs.of_runs(60, lambda _: None, hostile.everything, harmless.everything)
    yield Row.of_hostility("`refresh --full --system`", COUNT, pairs, bound=2)
    for caller in (harmless, hostile):
        caller.is_right(True)
        shutil.rmtree(caller.tree.root)
