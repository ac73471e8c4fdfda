"""After pip: the indexes of the site directories that it changed are refreshed.

`watch` is called when pip is imported, in the process that will change things: that of ``pip``, of
``python -m pip``, and with ``pip --python ENV`` the one that runs in ENV. It notes the stamps of the
directories into which pip may install. At exit, however pip ended, ``epcache refresh`` is run for those
whose stamp is another one.

pip must not notice. Nothing here prints or raises, and pip is kept waiting for 15 ms at most, which is
enough for most refreshes; one that takes longer goes on by itself, in a session of its own, with
nothing open that anybody might be waiting to be closed.

Everything is imported at once, and the program looked for: since 26.1, pip lets nothing more be imported
once it has installed something, lest a package that has just arrived be run.
"""

import atexit
import contextlib
import os
import sys
import time
from subprocess import DEVNULL, Popen

from . import _binary

PATIENCE = 0.015
INDEX = ".epcache/index"

# The process that watches, the program that it will run, and what it saw: stamps by path.
_process = None
_program = None
_stamps = {}


def watch():
    """Note the state of the site directories, and look at them again when the interpreter ends."""
    global _process, _program
    if _process is not None:
        return
    _process = os.getpid()
    # pip goes on, whatever is wrong here.
    with contextlib.suppress(Exception):
        _program = _binary.find()
        if _program is not None:
            for path in _directories():
                _stamps[path] = _stamp(path)
            atexit.register(_at_exit)


def _directories():
    """Where pip may install or uninstall."""
    for path in (path for path in sys.path if isinstance(path, str)):
        # Of other places only those that have an index: among them is the directory of the script.
        if path.endswith(("/site-packages", "/dist-packages")) or os.path.exists(os.path.join(path, INDEX)):
            yield os.path.abspath(path)
    site = sys.modules.get("site")
    if getattr(site, "ENABLE_USER_SITE", False):
        # It is on sys.path only once it exists.
        yield site.getusersitepackages()
    for path in _targets(sys.argv[1:], os.environ):
        yield os.path.abspath(os.path.expanduser(path))


def _targets(arguments, environment):
    """What pip is given as --target, in all the ways in which optparse understands it."""
    yield from filter(None, [environment.get("PIP_TARGET")])
    for argument, following in zip(arguments, [*arguments[1:], ""]):
        name, equals, value = argument.partition("=")
        if name.startswith("--ta") and "--target".startswith(name):
            yield value if equals else following
        elif argument.startswith("-") and not argument.startswith("--"):
            # Options without a value may stand in front of it, as in -qUt DIR.
            letters = argument[1:].lstrip("hIqUv")
            if letters.startswith("t"):
                yield letters[1:] or following


def _stamp(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    if found.st_ctime_ns % 1_000_000 == 0 and time.time() - found.st_ctime < 3:
        # A file system with a slow clock: what pip changes next may leave the stamp as it is. This
        # equals nothing.
        return object()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)


def _at_exit():
    deadline = time.monotonic() + PATIENCE
    # A child that pip forked leaves this to pip.
    if _process != os.getpid():
        return
    # Not even Ctrl-C changes how pip ended.
    with contextlib.suppress(BaseException):
        changed = [path for path, stamp in _stamps.items() if stamp != _stamp(path) and os.path.isdir(path)]
        if changed:
            _refresh(changed, deadline)


def _refresh(paths, deadline):
    """Refresh the indexes of directories, and wait until the deadline for that to be done."""
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
        # Otherwise it would complain that the process was left running.
        process.returncode = 0
