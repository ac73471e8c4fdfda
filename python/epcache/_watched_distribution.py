"""One distribution in a watched directory: whether it is complete, and whether it has changed.

# Complete
Installers make ``X.dist-info`` first and fill it later, and nothing says when they are done. pip, uv
and those that use pypa/installer write INSTALLER when everything else is in place, so a
distribution with METADATA, RECORD and an INSTALLER that was written where it is, is complete. An
INSTALLER that came with a package (its mtime is older than its ctime) says nothing. Everything else
is complete when it has been quiet for a while: 3 s, or 60 s where there is a RECORD but no
INSTALLER, since pip compiles modules between the two.

# Changed
What counts is which files METADATA, entry_points.txt and INSTALLER are (inode, mtime, size) and that
the directory is the same, not the directory's own stamp: RECORD, direct_url.json and REQUESTED are
written late. The ctime alone proves nothing, since uv links files from its cache into many
environments, and each link moves the ctime of all; then the texts are compared. They are compared
once more when the stamps have settled, for the file systems on which two writes can leave one stamp.
"""

import errno
import os
import stat
from collections import namedtuple

GUARD = 3.0  # s; FAT's 2 s, and skew, as everywhere in this package
INSTALLING = 60.0  # s; for what an installer has begun and not finished
_NS = 1_000_000_000

Stamps = namedtuple("Stamps", "own metadata entry_points installer record")
Snapshot = namedtuple("Snapshot", "identity installer name version entry_points")


class Moving(Exception):
    """What was being read changed meanwhile, or can't be read just now."""


class WatchedDistribution:
    """What is known of one ``.dist-info`` or ``.egg-info``."""

    def __init__(self, file_name):
        self.file_name = file_name
        self.stem = normalized(file_name.rpartition(".")[0].partition("-")[0])
        self.present = True
        self.stamps = None
        # When the stamps were first seen, by the monotonic clock.
        self.since = 0.0
        # No later change can leave these stamps.
        self.settled = False
        self.complete = False
        # Of when it was last complete, and its place among all that became so.
        self.snapshot = None
        self.order = None
        self._verify = False

    @property
    def key(self):
        """The normalized name."""
        return normalized(self.snapshot.name) or self.stem

    def is_begun(self, clock, wall):
        """Whether somebody may be filling it: it has metadata, or was made lately."""
        return self.stamps is not None and (
            self._has_metadata() or not self._is_quiet(INSTALLING, clock, wall)
        )

    def _has_metadata(self):
        # Of size 0 it is about to be written.
        return self.stamps.metadata is not None and self.stamps.metadata[3] > 0

    def examine(self, site, clock, wall, turn):
        """Look at it again. `clock` is monotonic, `wall` the time in ns, `turn` counts the looks."""
        path = f"{site}/{self.file_name}"
        try:
            self._examine(path, clock, wall, turn)
        except Moving:
            self.settled = False

    def _examine(self, path, clock, wall, turn):
        stamps = self._look(path)
        if stamps != self.stamps:
            self.stamps = stamps
            self.since = clock
            self.settled = False
            if self.complete:
                self._verify = True
                if self._differs(path):
                    self.complete = False
        elif self.settled and (self.complete or stamps.metadata is None):
            return
        safe = self._is_old(wall) or clock - self.since >= GUARD
        if self.complete and self._verify and safe:
            if self._differs(path):
                self.complete = False
            self._verify = False
        if not self.complete and self._is_finished(clock, wall):
            self._finish(path, turn)
            self._verify = not safe
        self.settled = safe

    def _look(self, path):
        own = status(path)
        if own is None:
            return Stamps(None, None, None, None, None)
        stamp = stamp_of(own)
        if not stat.S_ISDIR(own.st_mode):
            return Stamps(stamp, stamp if stat.S_ISREG(own.st_mode) else None, None, None, None)
        names = ("METADATA", "PKG-INFO")
        if self.file_name.lower().endswith(".egg-info"):
            names = names[::-1]
        before = self.stamps
        unmoved = self.settled and before.own == stamp
        if unmoved and before.metadata is None:
            return before
        metadata = _file(f"{path}/{names[0]}") or _file(f"{path}/{names[1]}")
        if unmoved:
            # No name in it has come, gone or changed hands; but files can be edited in place.
            entry_points = before.entry_points and _file(f"{path}/entry_points.txt")
            return Stamps(stamp, metadata, entry_points, before.installer, before.record)
        rest = (_file(f"{path}/{name}") for name in ("entry_points.txt", "INSTALLER", "RECORD"))
        return Stamps(stamp, metadata, *rest)

    def _is_finished(self, clock, wall):
        if not self._has_metadata():
            return False
        installer, record = self.stamps.installer, self.stamps.record
        dist_info = self.file_name.lower().endswith(".dist-info")
        if dist_info and installer and record:
            known = self.snapshot and self.snapshot.installer
            written_here = abs(installer[1] - installer[0]) < GUARD * _NS
            if written_here and known != _identity(installer):
                return True
        patience = INSTALLING if dist_info and record and not installer else GUARD
        return self._is_quiet(patience, clock, wall)

    def _is_quiet(self, patience, clock, wall):
        return clock - self.since >= patience or all(
            wall - stamp[1] >= patience * _NS for stamp in self.stamps if stamp
        )

    def _is_old(self, wall):
        # Generous, since the clock of a file server may differ from ours.
        return all(wall - stamp[1] >= INSTALLING * _NS for stamp in self.stamps if stamp)

    def _differs(self, path):
        """Whether it is another than when it was last complete."""
        identity, installer, *texts = self.snapshot
        now = self.stamps
        if now.metadata is None or _identities(now) != identity:
            return True
        if installer and _identity(now.installer) != installer:
            return True
        return list(self._read(path)) != texts

    def _finish(self, path, turn):
        texts = self._read(path)
        now = Snapshot(_identities(self.stamps), _identity(self.stamps.installer), *texts)
        before = self.snapshot
        self.snapshot = now
        self.complete = True
        if before:
            both = before.installer and now.installer
            if before._replace(installer=both and before.installer) == now._replace(
                installer=both and now.installer
            ):
                return
        self.order = (turn, self.stamps.own[1], self.file_name)

    def _read(self, path):
        """Its name, version and entry points; `Moving` if they are not those of the stamps."""
        stamps = self.stamps
        metadata = path
        if stamps.own != stamps.metadata:
            metadata = f"{path}/METADATA"
            if _file(metadata) != stamps.metadata:
                metadata = f"{path}/PKG-INFO"
        name, version = _name_and_version(path, read(metadata))
        entry_points = read(f"{path}/entry_points.txt") if stamps.entry_points else None
        if _file(metadata) != stamps.metadata:
            raise Moving
        if stamps.entry_points and _file(f"{path}/entry_points.txt") != stamps.entry_points:
            raise Moving
        return name, version, entry_points


def normalized(name):
    """A name as PEP 503 compares it, with underscores."""
    name = (name or "").lower().replace("-", "_").replace(".", "_")
    while "__" in name:
        name = name.replace("__", "_")
    return name


def read(path):
    """The bytes of a file; None where there is none for us."""
    try:
        # A FIFO would wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError:
        raise Moving from None


def _name_and_version(path, text):
    found = _plain(text)
    if found is None:
        # What is not plain is left to the parser that everybody uses.
        import importlib.metadata
        import pathlib

        try:
            metadata = importlib.metadata.PathDistribution(pathlib.Path(path)).metadata
            found = metadata.get("Name"), metadata.get("Version")
        except Exception:  # noqa: BLE001 - unreadable, not UTF-8, or what later versions refuse
            found = None, None
    stem = os.path.basename(path).rpartition(".")[0]
    return found[0] or stem.partition("-")[0], found[1] or stem.partition("-")[2].partition("-")[0] or None


def _plain(text):
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
    """What `os.stat` says; None if there is nothing, `Moving` if that can't be told."""
    try:
        return os.stat(path)
    except ValueError:
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return None
        raise Moving(error.errno) from None


def stamp_of(info):
    """What is compared for equality."""
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size


def _file(path):
    """The stamp of a regular file."""
    try:
        info = status(path)
    except Moving as error:
        if error.args != (errno.EACCES,):
            raise
        # To open the directory to us moves its own stamp.
        info = None
    return stamp_of(info) if info is not None and stat.S_ISREG(info.st_mode) else None


def _identity(stamp):
    return stamp and (stamp[0], stamp[2], stamp[3])


def _identities(stamps):
    return stamps.own[2], _identity(stamps.metadata), _identity(stamps.entry_points)
