"""Refreshes the indexes of the site directories that a run of pip changed.

`register` is called when pip is imported, in the process that changes things: that of ``pip``, of
``python -m pip``, and with ``pip --python ENV`` the one that runs in ENV. It notes the stamps of the site
directories on `sys.path`, which pip may also change through a ``setup.py``. Where else pip installs
(``--target``, ``--prefix``, ``--user``, the same in its configuration) is seen when it happens: by the
interpreter's audit events for files that are written and moved. At exit, however pip
ended, ``epcache refresh`` is run for the directories that were changed.

A tree below ``--root`` is left alone. It becomes a package or an image, where an index would be one more
file; ``epcache refresh --root`` makes those that belong there. The same holds for the environments in
which pip builds: pip removes them at its end.

The hook must not disturb pip. Nothing here prints or raises. pip waits for 15 ms at most, which is enough for
most refreshes. A refresh that takes longer continues in a session of its own, with none of pip's files open.

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
# How pip names the directories of its isolated builds.
BUILD = "/pip-build-env-"

# The process that called `register`, the program to run, the stamps by path, and the directories in which
# pip has changed distributions.
_process = None
_program = None
_stamps = {}
_changed = set()


def register():
    """Begin to note what pip changes, for a refresh when the interpreter ends."""
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
            if not _has_root(sys.argv[1:], os.environ):
                sys.addaudithook(_note)
            atexit.register(_at_exit)


def _directories():
    """The site directories on sys.path."""
    for path in (path for path in sys.path if isinstance(path, str)):
        # Others, such as the directory of the script, count only if they have an index.
        if path.endswith(("/site-packages", "/dist-packages")) or os.path.exists(os.path.join(path, INDEX)):
            yield os.path.abspath(path)


def _has_root(arguments, environment):
    """Whether pip has the option --root, in all spellings that optparse accepts, or its variable."""
    names = [argument.partition("=")[0] for argument in arguments]
    given = any(name.startswith("--ro") and "--root".startswith(name) for name in names)
    return given or bool(environment.get("PIP_ROOT"))


def _note(event, arguments):
    """The audit hook: note the directories into which pip writes or moves a distribution."""
    # PyPy has these events, but neither os.mkdir nor os.rename.
    if event == "open" and arguments[1] == "w":
        # Not in an .egg-info: that may be a part of sources that are unpacked.
        endings = ".dist-info"
    elif event == "shutil.move":
        # How --target brings its distributions from where they were installed first.
        endings = (".dist-info", ".egg-info")
    else:
        return
    # An exception would stop pip.
    with contextlib.suppress(Exception):
        path = os.path.dirname(arguments[0]) if event == "open" else arguments[1]
        path = os.fsdecode(path)
        if path.endswith(endings) and BUILD not in path:
            _changed.add(os.path.dirname(os.path.abspath(path)))


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
        changed = {path for path, stamp in _stamps.items() if stamp != _stamp(path)} | _changed
        changed = sorted(filter(os.path.isdir, changed))
        if changed:
            _refresh(changed, deadline)


def _refresh(paths, deadline):
    """Start a refresh of the directories, and wait for its end until the deadline."""
    process = Popen(
        [_program, "refresh", "--after=pip", "--", *paths],
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
