"""Operations that stop before each of their system calls, and continue on request.

An operation runs in its own thread, but never at the same time as anything else: the caller that advances it
waits until it stops again. It stops where the interpreter reports a call that changes or reads files
(`sys.addaudithook`), and where `Unbuffered` files are written and closed, which it does not report.
"""

import builtins
import sys
import threading

CALLS = frozenset(
    ["open", *(f"os.{name}" for name in (
        "mkdir", "remove", "rename", "rmdir", "link", "symlink", "utime", "truncate", "chmod", "chown",
        "listdir", "scandir",
    ))]
)  # fmt: skip
PATIENCE = 60

_running = threading.local()
_main = threading.get_ident()
_readers = []  # those in the middle of a read, the innermost last


class Killed(BaseException):
    """Raised in an operation that is to end at its current call."""


class Operation:
    """A function that runs in steps of single system calls."""

    def __init__(self, function):
        self.function = function
        self.over = False
        self.begun = False
        self.error = None
        self._left = 0
        self._killed = False
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)

    def advance(self, calls):
        """Let it make this many further system calls, or all remaining ones if None."""
        if self.over:
            return
        self._left = calls
        if not self.begun:
            self.begun = True
            threading.Thread(target=self._run, daemon=True).start()
        else:
            self._go.release()
        if not self._stopped.acquire(timeout=PATIENCE):
            raise RuntimeError("an operation does not come to its next call")
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def kill(self):
        """End it at its current call."""
        if self.begun and not self.over:
            self._killed = True
            self.advance(None)
        self.over = True

    def _run(self):
        _running.operation = self
        try:
            self.stop()
            self.function()
        except Killed:
            pass
        except OSError as error:
            # An installer that fails because of a concurrent change ends there.
            self.stumbled = error
        except BaseException as error:
            self.error = error
        self.over = True
        _running.operation = None
        self._stopped.release()

    stumbled = None

    def stop(self):
        """Called before each system call."""
        if self._killed:
            raise Killed
        if self._left is None:
            return
        if self._left > 0:
            self._left -= 1
            return
        self._stopped.release()
        self._go.acquire()
        if self._killed:
            raise Killed
        if self._left is not None:
            self._left -= 1


class Unbuffered:
    """A file for writing that can stop at every call."""

    def __init__(self, path, mode):
        self.file = builtins.open(path, mode, buffering=0)

    def write(self, data):
        stop()
        return self.file.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def stoppable_open(path, mode="r", **options):
    """`open` for the modules with the operations."""
    if mode == "wb" and getattr(_running, "operation", None):
        return Unbuffered(path, mode)
    return builtins.open(path, mode, **options)


def stop():
    operation = getattr(_running, "operation", None)
    if operation is not None:
        operation.stop()
    elif _readers and _readers[-1] is not None and threading.get_ident() == _main:
        _readers[-1].tick()


def during(reader):
    """Inside this context, calls outside of operations count as those of `reader` (None: of nobody)."""
    return _During(reader)


class _During:
    def __init__(self, reader):
        self.reader = reader

    def __enter__(self):
        _readers.append(self.reader)

    def __exit__(self, *_):
        _readers.pop()


def _stop_at(event, _arguments):
    if event in CALLS:
        stop()


def listen():
    """Begin to observe system calls; this can't be undone in this process."""
    global _main
    _main = threading.get_ident()
    sys.addaudithook(_stop_at)
    from support.simulation import edits, meddling

    for module in (edits, meddling):
        module.open = stoppable_open
