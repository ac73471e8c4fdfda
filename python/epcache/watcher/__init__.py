"""Reports what has been installed, upgraded and removed while a program runs.

A scan of a directory in which nothing has changed is one `stat`. `directory` and `distribution` define
what counts as a change, and when it is reported. docs/reference/watcher.md is for users.
"""

import _thread
import os
import stat
import sys
import time
import weakref
from typing import NamedTuple

from .directory import Directory, Installation
from .distribution import ChangedDuringRead, status

__all__ = ["Changes", "Installation", "Watcher"]


# Only type checkers see this.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


class Changes(NamedTuple):
    """Three tuples of `Installation`; false if all of them are empty."""

    added: tuple[Installation, ...] = ()
    updated: tuple[Installation, ...] = ()
    removed: tuple[Installation, ...] = ()

    def __bool__(self) -> bool:
        return any(self)


class Watcher:
    """Reports changes in the directories of `path`, or of `sys.path` as it is at each call.

    Distributions that exist when the watcher is created are not reported (`installed` returns them).
    Those in a directory that is added to `sys.path` later are reported as added, those in one that is
    removed from it as removed. Threads may share a watcher; each change is reported to one of them.
    """

    def __init__(self, path: "Iterable[str | bytes | os.PathLike[str]] | None" = None) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            raise TypeError(f"path is a list of directories, not {path!r}")
        self._path = None if path is None else list(path)
        self._entries = None
        self._directories = []
        # The directory by device and inode, where several path entries lead to one.
        self._owners = {}
        self._lock = _thread.RLock()
        _watchers.add(self)
        self.poll()

    def installed(self) -> tuple[Installation, ...]:
        """The state after all reports so far, a tuple of `Installation`."""
        with self._lock:
            return tuple(one for directory in self._directories for one in directory.installed())

    def poll(self) -> Changes:
        """The `Changes` since the last call, or since the watcher was created."""
        with self._lock:
            added, updated, removed = [], [], []
            entries = sys.path if self._path is None else self._path
            if entries != self._entries:
                removed += self._follow(list(entries))
            clock = time.monotonic_ns()
            wall = time.time_ns()
            scans = []
            for place, directory in enumerate(self._directories):
                try:
                    info = status(directory.site if directory.entry else ".")
                except ChangedDuringRead:
                    continue
                if info and not stat.S_ISDIR(info.st_mode):
                    info = None
                if not directory.entry and _is_another(directory, info):
                    removed += self._leave(directory)
                    directory = self._directories[place] = Directory("", _working_directory())
                    directory.last = _identity(info)
                if directory.identity and not (info and _identity(info) == directory.identity):
                    self._release(directory)
                scans.append((directory, info))
            for directory, info in scans:
                if info and not self._owns(directory, info):
                    info = None
                changes = directory.poll(info, clock, wall)
                if changes:
                    added += changes[0]
                    updated += changes[1]
                    removed += changes[2]
            return Changes(tuple(added), tuple(updated), tuple(removed))

    async def watch(self, interval: float = 1.0) -> "AsyncIterator[Changes]":
        """Call `poll` every `interval` seconds, and yield the `Changes` that are not empty.

        The calls run in the thread of the event loop. A task that is cancelled while it waits loses no
        change: the next `poll` or `watch` reports it.
        """
        import asyncio

        while True:
            changes = self.poll()
            if changes:
                yield changes
            await asyncio.sleep(interval)

    def _follow(self, entries):
        """Watch the current entries; the installations in directories that are no longer among them."""
        known = {directory.entry and directory.site: directory for directory in self._directories}
        wanted = {}
        for entry in entries:
            try:
                name = os.fsdecode(entry)
            except TypeError:
                # importlib skips it, too.
                continue
            if name not in wanted:
                wanted[name] = known.pop(name, None) or Directory(entry, name or _working_directory())
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
        """Whether the directory is watched under this name and not under an earlier one."""
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


def _is_another(directory, info):
    """Whether the working directory is another one. `os.getcwd` is called only if it may be."""
    identity = info and _identity(info)
    if identity == directory.last:
        return False
    directory.last = identity
    return info is not None and directory.site != _working_directory()


def _working_directory():
    try:
        return os.getcwd()
    except OSError:
        # It has been removed.
        return ""


# All locks are held during a fork. Otherwise a scan of another thread would leave the child with half its
# results and with a lock that no thread releases.
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
