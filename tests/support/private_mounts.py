"""Mounts that only this process and its children see, and that end with it."""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNS = 0x00020000


def begin():
    """Move this process to its own mount namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@contextlib.contextmanager
def mounted(*command):
    """`mount` with the arguments `command`, the last of which is the place."""
    subprocess.run(["mount", *map(str, command)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(command[-1])], check=True)
