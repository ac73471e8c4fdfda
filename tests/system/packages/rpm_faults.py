"""Faults that prevent writing an index, each for the duration of a `with`."""

import contextlib
import os
import shutil
import subprocess

from support.private_mounts import mounted

from .rpm_machine import CACHE, EPCACHE


@contextlib.contextmanager
def read_only(machine):
    place = machine.system.path(CACHE)
    with mounted("--bind", place, place):
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        yield


@contextlib.contextmanager
def full(machine):
    """The cache directory, indexes included, on a file system without a free byte."""
    place = machine.system.path(CACHE)
    kept = machine.system.path("/kept")
    uid, gid = machine.account()
    subprocess.run(["cp", "-a", place, kept], check=True)
    try:
        with mounted("-t", "tmpfs", "-o", f"size=256k,mode=755,uid={uid},gid={gid}", "tmpfs", place):
            subprocess.run(["cp", "-a", f"{kept}/.", place], check=True)
            filler = place / "filler"
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            assert filler.stat().st_size, "the file system is larger than its indexes"
            assert os.statvfs(place).f_bavail == 0
            yield
            # There is only one such directory, so the fault stays.
            filler.unlink()
            shutil.rmtree(kept)
            subprocess.run(["cp", "-a", place, kept], check=True)
        shutil.rmtree(place)
        subprocess.run(["cp", "-a", kept, place], check=True)
    finally:
        shutil.rmtree(kept)


@contextlib.contextmanager
def without_user(machine):
    files = [machine.system.path(name) for name in ("/etc/passwd", "/etc/group")]
    kept = [file.read_text() for file in files]
    for file, text in zip(files, kept):
        file.write_text("".join(line for line in text.splitlines(True) if not line.startswith("epcache:")))
    try:
        yield
    finally:
        for file, text in zip(files, kept):
            file.write_text(text)


@contextlib.contextmanager
def broken_configuration(machine):
    file = machine.system.path("/etc/epcache/config.toml")
    file.write_text("site-directoriez = [\n")
    try:
        yield
    finally:
        file.unlink()


@contextlib.contextmanager
def program_that_cannot_run(machine):
    """As after an incomplete upgrade of the C library."""
    program = machine.system.path(EPCACHE)
    kept = program.with_name("epcache.kept")
    program.rename(kept)
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    try:
        yield
    finally:
        kept.replace(program)


@contextlib.contextmanager
def cache_of_another_user(machine):
    """The cache directory belongs to another user."""
    place = machine.system.path(CACHE)
    owner = place.stat()
    os.chown(place, 65534, 65534)
    try:
        yield
    finally:
        os.chown(place, owner.st_uid, owner.st_gid)


@contextlib.contextmanager
def no_cache_directory(machine):
    place = machine.system.path(CACHE)
    kept = place.with_name("epcache.kept")
    place.rename(kept)
    try:
        yield
    finally:
        kept.rename(place)
