"""What has been installed, upgraded and removed since the last look, for programs that keep running.

A look at a directory in which nothing has changed is one `stat`. What a change is, and when it is
reported, is in `_watched_directory` and `_watched_distribution`; docs/reference/watcher.md is for users.
"""

import _thread
import os
import stat
import sys
import time
import weakref
from collections import namedtuple

from ._watched_directory import Installation, WatchedDirectory
from ._watched_distribution import Moving, status

__all__ = ["Changes", "Installation", "Watcher"]


class Changes(namedtuple("Changes", "added updated removed", defaults=[(), (), ()])):
    """Three tuples of `Installation`; false if all of them are empty."""

    __slots__ = ()

    def __bool__(self):
        return any(self)


class Watcher:
    """Tells what has changed in the directories of `path`, or of `sys.path` as it is at each look.

    What is there when the watcher is made is not reported (`installed` has it). What is in a
    directory that comes to `sys.path` later is reported as added, what was in one that leaves it
    as removed. Several threads may use one watcher; each change is reported to one of them.
    """

    def __init__(self, path=None):
        if isinstance(path, (str, bytes, os.PathLike)):
            raise TypeError(f"path is a list of directories, not {path!r}")
        self._path = None if path is None else list(path)
        self._entries = None
        self._directories = []
        # Which directory is watched under which name, where several path entries lead to one.
        self._owners = {}
        self._lock = _thread.RLock()
        _watchers.add(self)
        self.poll()

    def installed(self):
        """What is installed by what has been reported so far, a tuple of `Installation`."""
        with self._lock:
            return tuple(one for directory in self._directories for one in directory.installed())

    def poll(self):
        """The `Changes` since the last call, or since the watcher was made."""
        with self._lock:
            added, updated, removed = [], [], []
            entries = sys.path if self._path is None else self._path
            if entries != self._entries:
                removed += self._follow(list(entries))
            clock = time.monotonic()
            wall = time.time_ns()
            looks = []
            for place, directory in enumerate(self._directories):
                try:
                    info = status(directory.site if directory.entry else ".")
                except Moving:
                    continue
                if info and not stat.S_ISDIR(info.st_mode):
                    info = None
                if not directory.entry and _has_moved(directory, info):
                    removed += self._leave(directory)
                    directory = self._directories[place] = WatchedDirectory("", _working_directory())
                    directory.last = _identity(info)
                if directory.identity and not (info and _identity(info) == directory.identity):
                    self._release(directory)
                looks.append((directory, info))
            for directory, info in looks:
                if info and not self._owns(directory, info):
                    info = None
                changes = directory.poll(info, clock, wall)
                if changes:
                    added += changes[0]
                    updated += changes[1]
                    removed += changes[2]
            return Changes(tuple(added), tuple(updated), tuple(removed))

    async def watch(self, interval=1.0):
        """Yield `Changes` as they come, looking every `interval` seconds.

        The look is taken in the thread of the event loop, so that a task that is cancelled while it
        waits has missed nothing: the next `poll` or `watch` goes on from there.
        """
        import asyncio

        while True:
            changes = self.poll()
            if changes:
                yield changes
            await asyncio.sleep(interval)

    def _follow(self, entries):
        """Watch what is on the path now; what was installed in the directories that left it."""
        known = {directory.entry and directory.site: directory for directory in self._directories}
        wanted = {}
        for entry in entries:
            try:
                name = os.fsdecode(entry)
            except TypeError:
                # importlib passes over it, too.
                continue
            if name not in wanted:
                wanted[name] = known.pop(name, None) or WatchedDirectory(entry, name or _working_directory())
        self._entries = entries
        self._directories = list(wanted.values())
        return [one for directory in known.values() for one in self._leave(directory)]

    def _leave(self, directory):
        self._release(directory)
        return directory.installed()

    def _release(self, directory):
        if self._owners.get(directory.identity) is directory:
            del self._owners[directory.identity]
        directory.identity = None

    def _owns(self, directory, info):
        """Whether the directory is watched under this name, and not under another."""
        identity = _identity(info)
        if directory.identity == identity:
            return True
        owner = self._owners.setdefault(identity, directory)
        if owner is directory:
            directory.identity = identity
            return True
        owner.entries.add(directory.entry)
        return False


def _identity(info):
    return info.st_dev, info.st_ino


def _has_moved(directory, info):
    """Whether the working directory is another; the kernel is asked for it only where that may be."""
    identity = info and _identity(info)
    if identity == directory.last:
        return False
    directory.last = identity
    return info is not None and directory.site != _working_directory()


def _working_directory():
    try:
        return os.getcwd()
    except OSError:
        # It has been deleted.
        return ""


# A process that forks while another thread is looking would leave the child half a look, and a lock
# that nobody holds.
_watchers = weakref.WeakSet()
_held = {}


def _before_fork():
    held = _held[_thread.get_ident()] = list(_watchers)
    for watcher in held:
        watcher._lock.acquire()


def _after_fork():
    for watcher in _held.pop(_thread.get_ident(), ()):
        watcher._lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
