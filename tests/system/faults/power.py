"""The states of a new index that a power cut may leave, made from the system calls that wrote it.

A file system keeps the names in its journal. Without fsync, it keeps any of the blocks of a file: the others
are zeroes, or their former content. So the file may be the old one; or the new one, cut off anywhere,
with any of its blocks zeroed, or taken from the old file that had them before.
"""

import itertools
import pathlib
import re
import subprocess

from support.checkout import CHECKOUT, release_program

from . import machine, scenes

CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)", re.MULTILINE)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
CALLS = "open,openat,openat2,creat,write,pwrite64,writev,ftruncate,fallocate,rename,renameat,renameat2"
SIZES = (512, 4096)  # of a sector, and of a block


class Large:
    """More distributions than a scene has by default."""

    count = 6

    def make(self):
        super().make()
        for number in range(self.count):
            scenes.add(self.sites[0], f"more_{number}-1.dist-info", f"more_{number}")


class LargeEnvironment(Large, scenes.OwnEnvironment):
    user = None  # it belongs to root, like the other scenes


class LargeTrigger(Large, scenes.RpmTrigger):
    def change(self):
        scenes.rebuild(self.sites[0], "alpha-1.dist-info", "alpha")


def recorded(scene):
    """Run the command: the writes to the new index of the first site directory, call by call. Checks that a
    rename puts it in its place, and that nothing is written afterwards."""
    log = scene.directory / "log"
    index = scene.indexes()[0]
    with scene.input() as listed:
        command = ["strace", "-f", "-xx", "-s", "10000000", "-a", "1", "-e", f"trace={CALLS}", "-o", log]
        command += [release_program(), *scene.arguments]
        subprocess.run(
            list(map(str, command)), stdin=listed, env=scene.variables, check=True, capture_output=True
        )
    writes, descriptor, temporary, renamed = [], None, None, False
    for call, arguments, result in CALL.findall(log.read_text()):
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in TEXT.findall(arguments)]
        if call.startswith("open") and texts[0].startswith(b".index."):
            assert not renamed and not writes, "one file, written once"
            temporary, descriptor = texts[0], result
        elif call == "write" and descriptor and arguments.startswith(descriptor + ",") and not renamed:
            assert int(result) == len(texts[0])
            writes.append(texts[0])
        elif call.startswith("rename") and texts[0] == temporary:
            assert texts[1] == b"index"
            renamed = True
            if index.read_bytes() == b"".join(writes):
                break
            writes, descriptor, renamed = [], None, False  # it was the index of another site directory
    assert renamed and index.read_bytes() == b"".join(writes), "not what strace saw"
    log.unlink()
    return writes


def cut_off(new):
    """Files of every length, and files of full size with zeroes from every offset on."""
    for length in range(len(new)):
        yield f"cut off at {length}", new[:length]
        yield f"zeroes from {length}", new[:length] + bytes(len(new) - length)


def blocks_of(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def mixed(new, old, choices, size):
    """`choices` selects for each block the new data, the old data, or zeroes."""
    old = old.ljust(len(new), b"\0")
    pieces = zip(choices, blocks_of(new, size), blocks_of(old[: len(new)], size))
    return b"".join({"n": one, "o": other, "z": bytes(len(one))}[kept] for kept, one, other in pieces)


def all_mixed(new, old, size):
    count = len(blocks_of(new, size))
    for choices in itertools.product("noz", repeat=count):
        yield f"blocks of {size}: {''.join(choices)}", mixed(new, old, choices, size)


def some_mixed(new, old, rng, count):
    """Random blocks, in a file that may be cut off as well."""
    for _ in range(count):
        size = rng.choice(SIZES)
        weights = rng.choice([(9, 1, 0), (9, 0, 1), (1, 1, 1), (0, 9, 1), (99, 1, 1)])
        choices = rng.choices("noz", weights, k=len(blocks_of(new, size)))
        data = mixed(new, old, choices, size)
        length = rng.choice([len(new), len(new), len(old), rng.randrange(len(new))])
        yield (
            f"blocks of {size}: {''.join(choices)}, {length} bytes",
            data[:length].ljust(min(length, len(old))),
        )


def states(new, old, rng, most=None):
    """The possible states by kind: cut off, any of few blocks, any of many. At most `most` of each kind;
    without it all, except where there are too many."""
    kinds = [list(cut_off(new)), list(some_mixed(new, old, rng, 2000))]
    if len(new) < 8 * SIZES[0]:
        kinds.append([state for size in SIZES for state in all_mixed(new, old, size)])
    else:
        kinds[0] = rng.sample(kinds[0], 1000)
    yield "nothing", b""
    for kind in kinds:
        yield from kind if most is None else rng.sample(kind, min(most, len(kind)))


def put(index, data):
    """Write the file as it is found after the cut, with its former owner."""
    owner = index.parent.stat()
    temporary = index.with_name("put")
    temporary.write_bytes(data)
    temporary.chmod(0o644)
    machine.os.chown(temporary, owner.st_uid, owner.st_gid)
    temporary.replace(index)


def boot(variables):
    """Run the command of the boot-time unit."""
    unit = (CHECKOUT / "packaging/systemd/epcache-refresh.service").read_text()
    [command] = re.findall(r"^ExecStart=/usr/bin/epcache (.*)$", unit, re.MULTILINE)
    subprocess.run(
        [release_program(), *command.split()], env=variables, check=True, capture_output=True, timeout=60
    )


def leave_temporary(index, data):
    """Leave a temporary file, as a cut before the rename does."""
    path = pathlib.Path(index.parent, ".index.4711.12345")
    path.write_bytes(data)
    owner = index.parent.stat()
    machine.os.chown(path, owner.st_uid, owner.st_gid)
