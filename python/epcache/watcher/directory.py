"""One directory that a `Watcher` scans: the distributions in it, and what has been reported of them.

# When a stamp proves that nothing has changed
Two changes within one tick of the file system's clock leave the same stamp, and a tick is 4 ms, 1 s or
2 s. So an equal stamp counts only if the listing was made at least 3 s after the stamp was first seen, by
the monotonic clock, or if the stamp is a minute old. Until then every scan lists the directory again and
invalidates the caches of the import system.

# Which removals are delayed
Installers remove the old version before they add the new one. So a removal is reported only when the
directory has been quiet for 3 s, and neither a new distribution of the name is being installed nor the
old one is still there as pip's ``~name``. After a minute only a distribution that has metadata delays it.

Of several distributions of one name in a directory, the one that was completed last counts.
"""

import os
from typing import NamedTuple

from .._limits import SETTLE_AFTER, UNFINISHED_AFTER
from .._names import SYSTEM_CACHE, is_distribution
from .distribution import Distribution, Moment, stamp_of
from .import_caches import invalidate

# pip renames a distribution that it is about to remove: one of these replaces its first characters.
_RENAMED_BY_PIP = "~-.=%0123456789"


class Installation(NamedTuple):
    """An installed distribution.

    `path` is its ``.dist-info`` or ``.egg-info``, `site` the directory that holds it; `version` is None
    where nothing names one. `previous_version` is None except in `Changes.updated`.
    """

    name: str
    version: "str | None"
    path: str
    site: str
    previous_version: "str | None" = None


class _Reported:
    """The last report of a name."""

    __slots__ = ("distribution", "gone_since", "installation", "order")

    def __init__(self, distribution, installation):
        self.distribution = distribution
        self.order = distribution.order
        self.installation = installation
        self.gone_since = None


class Directory:
    """A directory, which need not exist."""

    def __init__(self, entry, site):
        # The entry of sys.path, for the import system, and the path of the directory.
        self.entry = entry
        self.site = site
        # All entries that lead here.
        self.entries = {entry}
        # Set by the watcher: device and inode, if it is watched under this name, and when last seen.
        self.identity = None
        self.last = None
        self.stamp = None
        self._index = None
        self._index_stamp = None
        self._since = None
        self._settled = False
        self._scan = 0
        self._distributions = {}
        self._pending = []
        self._reported = {}
        self._removal_delayed = False
        self._renamed = ()
        # Stems of distributions that were never reported and have gone since the last scan.
        self._vanished = set()

    def installed(self):
        """The reported installations, in the order of the names."""
        return [self._reported[key].installation for key in sorted(self._reported)]

    def poll(self, info, clock, wall):
        """The changes since the last time: lists of added, updated, removed; None if there are none.

        `info` is the result of `os.stat`, None if nothing is there. `clock` is the monotonic clock and
        `wall` the time of day, both in ns.
        """
        stamp = info and stamp_of(info)
        index_stamp = self._index and _stamp_of_index(self._index)
        if stamp != self.stamp or index_stamp != self._index_stamp or self._since is None:
            self.stamp = stamp
            self._index_stamp = index_stamp
            self._since = clock
            self._settled = False
        if self._settled and not self._pending and not self._removal_delayed:
            return None
        self._scan += 1
        now = Moment(clock, wall, self._scan)
        if not self._settled:
            self._list(now)
        else:
            for distribution in self._pending:
                distribution.scan(self.site, now)
        self._pending = [
            one for one in self._distributions.values() if one.present and not (one.settled and one.complete)
        ]
        return self._compare(now)

    def _list(self, now):
        # A directory that has long been unchanged needs no invalidation by the first scan.
        if now.scan > 1 or not self._is_settled(now):
            for entry in self.entries:
                invalidate(entry)
        names = ()
        if self.stamp is not None:
            try:
                names = os.listdir(self.site)
            except (FileNotFoundError, NotADirectoryError):
                # Removed since the stat.
                return
            except PermissionError:
                # Nothing can be seen until its mode is changed, which changes the ctime.
                self._settled = self._is_settled(now)
                return
            except OSError:
                return
        names = {name for name in names if is_distribution(name)}
        self._renamed = [name for name in names if name.startswith("~")]
        names.difference_update(self._renamed)
        for name in names - self._distributions.keys():
            self._distributions[name] = Distribution(name)
        reported = {report.distribution for report in self._reported.values()}
        self._vanished.clear()
        for name, distribution in list(self._distributions.items()):
            distribution.present = name in names
            if distribution.present:
                distribution.scan(self.site, now)
            elif distribution not in reported:
                self._vanished.add(distribution.stem)
                del self._distributions[name]
        self._settled = self._is_settled(now)
        if self._index is None and self.stamp is not None:
            self._find_index()

    def _is_settled(self, now):
        # A minute for the time of day, because the clock of a file server may differ.
        if self.stamp is None or now.clock - self._since >= SETTLE_AFTER:
            return True
        stamps = [stamp for stamp in (self.stamp, self._index_stamp) if stamp]
        return all(now.wall - stamp[1] >= UNFINISHED_AFTER for stamp in stamps)

    def _find_index(self):
        # A package that is rebuilt under the same version does not change the stamp of the directory,
        # but the package manager's trigger replaces the index.
        path = f"{SYSTEM_CACHE}{os.path.realpath(self.site)}/index"
        stamp = _stamp_of_index(path)
        if stamp:
            self._index = path
            self._index_stamp = stamp
            # It may have been replaced since the distributions were scanned.
            self._settled = False

    def _compare(self, now):
        found = {}
        for one in self._distributions.values():
            if one.present and one.complete:
                other = found.get(one.key)
                if other is None or one.order > other.order:
                    found[one.key] = one
        added, updated, removed = [], [], []
        self._removal_delayed = False
        for key in sorted(found.keys() | self._reported.keys()):
            one = found.get(key)
            report = self._reported.get(key)
            if one is None:
                if self._may_return(report, now):
                    self._removal_delayed = True
                    continue
                removed.append(report.installation)
                self._forget(key)
            elif report is None:
                self._reported[key] = report = _Reported(one, self._installation(one))
                added.append(report.installation)
            elif report.order != one.order:
                installation = self._installation(one)
                self._reported[key] = _Reported(one, installation)
                updated.append(installation._replace(previous_version=report.installation.version))
            else:
                report.gone_since = None
        return (added, updated, removed) if added or updated or removed else None

    def _forget(self, key):
        one = self._reported.pop(key).distribution
        # Two names may have been reported of one distribution, if its metadata was edited.
        if not one.present and self._distributions.get(one.file_name) is one:
            del self._distributions[one.file_name]

    def _installation(self, one):
        path = os.path.join(self.site, one.file_name)
        return Installation(one.snapshot.name, one.snapshot.version, path, self.site)

    def _may_return(self, report, now):
        """Whether a distribution that has disappeared may be about to be replaced."""
        stem = report.distribution.stem
        if report.gone_since is None or stem in self._vanished:
            report.gone_since = now.clock
        for one in self._distributions.values():
            if one.present and not one.complete and one.stem == stem and one.may_be_installing(now):
                report.gone_since = now.clock
                return True
        if now.clock - report.gone_since >= UNFINISHED_AFTER:
            return False
        if any(_may_be_renamed(name, report.distribution.file_name) for name in self._renamed):
            return True
        if now.clock - self._since >= SETTLE_AFTER:
            return False
        # A name that is changed while its directory is listed may be missing from the listing.
        ctime = _ctime(self.site)
        if self.stamp is None:
            return ctime is not None or now.wall - _ctime_above(self.site) < SETTLE_AFTER
        return ctime != self.stamp[1] or now.wall - ctime < SETTLE_AFTER


def _may_be_renamed(name, original):
    """Whether pip may have changed the original name to this one."""
    return len(name) == len(original) and original.endswith(name.lstrip(_RENAMED_BY_PIP))


def _ctime(path):
    try:
        return os.stat(path).st_ctime_ns
    except (OSError, ValueError):
        return None


def _ctime_above(path):
    """The ctime of the nearest existing directory above: the path was removed no earlier than that."""
    path = os.path.abspath(path)
    while True:
        path = os.path.dirname(path)
        ctime = _ctime(path)
        if ctime is not None or path == "/":
            return ctime or 0


def _stamp_of_index(path):
    try:
        info = os.stat(path)
    except OSError:
        return ()
    return stamp_of(info)
