"""One distribution in a watched directory: whether it is complete, and whether it has changed.

# Complete
Installers make ``X.dist-info`` first and fill it later. `_completeness` says how to see that they have
finished. Anything else is complete when it has been quiet for a while: 3 s, or 60 s where there is a
RECORD but no INSTALLER, because pip compiles modules between the two.

# Changed
A distribution has changed if its directory or one of METADATA, entry_points.txt and INSTALLER is another
file (inode, mtime, size). The directory's stamp does not count, because RECORD, direct_url.json and
REQUESTED are written late. A changed ctime alone does not count either: uv links files from its cache into
many environments, and each link changes the ctime of all. In that case the texts are compared. They are
compared again once the stamps have settled, because on a coarse clock two writes can leave one stamp.
"""

import errno
import os
import stat
from collections import namedtuple

from .._completeness import is_finished
from .._limits import SETTLE_AFTER, UNFINISHED_AFTER
from .._names import metadata_file, normalized, stem

Stamps = namedtuple("Stamps", "own metadata entry_points installer record")
Snapshot = namedtuple("Snapshot", "identity installer name version entry_points")
Moment = namedtuple("Moment", "clock wall scan")
Moment.__doc__ = "When a scan is done: the monotonic clock and the time of day, both in ns, and its number."


class ChangedDuringRead(Exception):
    """A file changed while it was read, or can't be read for the moment."""


class Distribution:
    """The known state of one ``.dist-info`` or ``.egg-info``."""

    def __init__(self, file_name):
        self.file_name = file_name
        self.stem = stem(file_name)
        self.present = True
        self.stamps = None
        # When these stamps were first seen, by the monotonic clock.
        self.since = 0
        # Whether every later change will change the stamps.
        self.settled = False
        self.complete = False
        # The state when it was last complete, and its place in the order in which all became so.
        self.snapshot = None
        self.order = None
        self._compare_again = False

    @property
    def key(self):
        """The normalized name."""
        return normalized(self.snapshot.name) or self.stem

    def may_be_installing(self, now):
        """Whether an installer may be filling it: it has metadata, or was created less than 60 s ago."""
        return self.stamps is not None and (self._has_metadata() or not self._is_quiet(UNFINISHED_AFTER, now))

    def _has_metadata(self):
        # A file of size 0 is about to be written.
        return self.stamps.metadata is not None and self.stamps.metadata[3] > 0

    def scan(self, site, now):
        """Bring everything up to date."""
        try:
            self._scan(f"{site}/{self.file_name}", now)
        except ChangedDuringRead:
            self.settled = False

    def _scan(self, path, now):
        stamps = self._read_stamps(path)
        if stamps != self.stamps:
            self.stamps = stamps
            self.since = now.clock
            self.settled = False
            if self.complete:
                self._compare_again = True
                self.complete = not self._differs(path)
        elif self.settled and (self.complete or stamps.metadata is None):
            return
        settled = now.clock - self.since >= SETTLE_AFTER or self._is_older(UNFINISHED_AFTER, now)
        if self.complete and self._compare_again and settled:
            self.complete = not self._differs(path)
            self._compare_again = False
        if not self.complete and self._is_finished(now):
            self._finish(path, now)
            self._compare_again = not settled
        self.settled = settled

    def _read_stamps(self, path):
        own = status(path)
        if own is None:
            return Stamps(None, None, None, None, None)
        stamp = stamp_of(own)
        if not stat.S_ISDIR(own.st_mode):
            return Stamps(stamp, stamp if stat.S_ISREG(own.st_mode) else None, None, None, None)
        before = self.stamps
        unchanged = self.settled and before.own == stamp
        if unchanged and before.metadata is None:
            return before
        usual = metadata_file(self.file_name)
        other = "METADATA" if usual == "PKG-INFO" else "PKG-INFO"
        metadata = _file_stamp(f"{path}/{usual}") or _file_stamp(f"{path}/{other}")
        if unchanged:
            # No file in it was added, removed or replaced, but files can be edited in place.
            entry_points = before.entry_points and _file_stamp(f"{path}/entry_points.txt")
            return Stamps(stamp, metadata, entry_points, before.installer, before.record)
        rest = (_file_stamp(f"{path}/{name}") for name in ("entry_points.txt", "INSTALLER", "RECORD"))
        return Stamps(stamp, metadata, *rest)

    def _is_finished(self, now):
        if not self._has_metadata():
            return False
        installer, record = self.stamps.installer, self.stamps.record
        if not self.file_name.lower().endswith(".dist-info"):
            return self._is_quiet(SETTLE_AFTER, now)
        known = self.snapshot and self.snapshot.installer
        if is_finished(installer, record) and known != _identity(installer):
            return True
        return self._is_quiet(UNFINISHED_AFTER if record and not installer else SETTLE_AFTER, now)

    def _is_quiet(self, duration, now):
        return now.clock - self.since >= duration or self._is_older(duration, now)

    def _is_older(self, duration, now):
        return all(now.wall - stamp[1] >= duration for stamp in self.stamps if stamp)

    def _differs(self, path):
        """Whether it has changed since it was last complete."""
        identity, installer, *texts = self.snapshot
        stamps = self.stamps
        if stamps.metadata is None or _identities(stamps) != identity:
            return True
        if installer and _identity(stamps.installer) != installer:
            return True
        return list(self._read(path)) != texts

    def _finish(self, path, now):
        texts = self._read(path)
        before = self.snapshot
        installer = _identity(self.stamps.installer)
        self.snapshot = Snapshot(_identities(self.stamps), installer, *texts)
        self.complete = True
        if before:
            # An INSTALLER that was added or removed is no change.
            same = installer if before.installer and installer else before.installer
            if before == self.snapshot._replace(installer=same):
                return
        self.order = (now.scan, self.stamps.own[1], self.file_name)

    def _read(self, path):
        """Its name, version and the bytes of entry_points.txt."""
        stamps = self.stamps
        metadata = path
        if stamps.own != stamps.metadata:
            metadata = f"{path}/METADATA"
            if _file_stamp(metadata) != stamps.metadata:
                metadata = f"{path}/PKG-INFO"
        entry_points = stamps.entry_points and _read_file(f"{path}/entry_points.txt", stamps.entry_points)
        name, version = _name_and_version(path, _read_file(metadata, stamps.metadata))
        return name, version, entry_points


def _read_file(path, stamp):
    """The bytes of a file that has this stamp; None if this process may not read it."""
    text = None
    try:
        # Opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            text = file.read()
    except PermissionError:
        pass
    except OSError:
        raise ChangedDuringRead from None
    if _file_stamp(path) != stamp:
        raise ChangedDuringRead
    return text


def _name_and_version(path, text):
    found = _simple_headers(text)
    if found is None:
        import importlib.metadata
        import pathlib

        try:
            metadata = importlib.metadata.PathDistribution(pathlib.Path(path)).metadata
            found = metadata.get("Name"), metadata.get("Version")
        except Exception:  # noqa: BLE001 - unreadable, not UTF-8, or refused by later versions
            found = None, None
    name, _, rest = os.path.basename(path).rpartition(".")[0].partition("-")
    return found[0] or name, found[1] or rest.partition("-")[0] or None


def _simple_headers(text):
    """Name and version of metadata that begins with lines of ``key: value``; otherwise None."""
    try:
        lines = (text or b"").decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        return None
    found = {}
    for line, following in zip(lines, lines[1:]):
        key, colon, value = line.partition(":")
        if not colon or not key.replace("-", "").isalnum() or not key.isascii():
            return None
        if "\r" in line or following[:1] in (" ", "\t"):
            return None
        found.setdefault(key.lower(), value.lstrip(" \t"))
        if "name" in found and "version" in found:
            return found["name"], found["version"]
    return None


def status(path):
    """The result of `os.stat`; None if nothing is there, `ChangedDuringRead` if that is unknown."""
    try:
        return os.stat(path)
    except ValueError:
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return None
        raise ChangedDuringRead(error.errno) from None


def stamp_of(info):
    """The stamp in a result of `os.stat`. Stamps are compared for equality."""
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size


def _file_stamp(path):
    """The stamp of a regular file; None if there is none."""
    try:
        info = status(path)
    except ChangedDuringRead as error:
        if error.args != (errno.EACCES,):
            raise
        # Permission to enter the directory changes its own stamp.
        info = None
    return stamp_of(info) if info is not None and stat.S_ISREG(info.st_mode) else None


def _identity(stamp):
    return stamp and (stamp[0], stamp[2], stamp[3])


def _identities(stamps):
    return stamps.own[2], _identity(stamps.metadata), _identity(stamps.entry_points)
