"""Refreshes the indexes of the site directories that a run of pip changed.

`register` is called when pip is imported, in the process that changes things: that of ``pip``, of
``python -m pip``, and with ``pip --python ENV`` the one that runs in ENV. It notes the stamps of the
directories into which pip may install. At exit, however pip ended, ``epcache refresh`` is run for those
whose stamp has changed.

pip must not notice. Nothing here prints or raises. pip waits for 15 ms at most, which is enough for most
refreshes. A refresh that takes longer continues in a session of its own, with none of pip's files open.

Everything is imported at once, and the program found: since 26.1, pip forbids further imports once it has
installed something, so that no package that has just been installed is executed.
"""

import atexit
import contextlib
import os
import sys
import time
from subprocess import DEVNULL, Popen

from . import _binary

PATIENCE = 0.015  # s
INDEX = ".epcache/index"

# The process that called `register`, the program to run, and the stamps by path.
_process = None
_program = None
_stamps = {}


def register():
    """Note the stamps of the site directories, and compare them when the interpreter ends."""
    global _process, _program
    if _process is not None:
        return
    _process = os.getpid()
    # pip continues, whatever fails here.
    with contextlib.suppress(Exception):
        _program = _binary.find()
        if _program is not None:
            for path in _directories():
                _stamps[path] = _stamp(path)
            atexit.register(_at_exit)


def _directories():
    """Where pip may install or uninstall."""
    for path in (path for path in sys.path if isinstance(path, str)):
        # Others, such as the directory of the script, count only if they have an index.
        if path.endswith(("/site-packages", "/dist-packages")) or os.path.exists(os.path.join(path, INDEX)):
            yield os.path.abspath(path)
    site = sys.modules.get("site")
    if getattr(site, "ENABLE_USER_SITE", False):
        # It is on sys.path only once it exists.
        yield site.getusersitepackages()
    for path in _targets(sys.argv[1:], os.environ):
        yield os.path.abspath(os.path.expanduser(path))


def _targets(arguments, environment):
    """The values of --target, in all spellings that optparse accepts."""
    yield from filter(None, [environment.get("PIP_TARGET")])
    for argument, following in zip(arguments, [*arguments[1:], ""]):
        name, equals, value = argument.partition("=")
        if name.startswith("--ta") and "--target".startswith(name):
            yield value if equals else following
        elif argument.startswith("-") and not argument.startswith("--"):
            # Options without a value may precede it, as in -qUt DIR.
            letters = argument[1:].lstrip("hIqUv")
            if letters.startswith("t"):
                yield letters[1:] or following


def _stamp(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    if found.st_ctime_ns % 1_000_000 == 0 and time.time() - found.st_ctime < 3:
        # On a file system with a coarse clock the next change may leave this stamp. An object equals
        # no other stamp, so the directory counts as changed.
        return object()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)


def _at_exit():
    deadline = time.monotonic() + PATIENCE
    # In a child that pip forked, do nothing: pip itself refreshes.
    if _process != os.getpid():
        return
    # Not even Ctrl-C may change pip's exit status.
    with contextlib.suppress(BaseException):
        changed = [path for path, stamp in _stamps.items() if stamp != _stamp(path) and os.path.isdir(path)]
        if changed:
            _refresh(changed, deadline)


def _refresh(paths, deadline):
    """Start a refresh of the directories, and wait for its end until the deadline."""
    process = Popen(
        [_program, "refresh", "--", *paths],
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
    )
    try:
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.0005)
    finally:
        # Without this, Popen warns at exit that the process is still running.
        process.returncode = 0
