"""One directory that a `Watcher` looks at: what is in it, and what has been told of it.

# When a stamp proves that nothing has changed
Two changes within one tick of the file system's clock leave the same stamp, and a tick is 4 ms, 1 s
or 2 s. So an equal stamp counts only if the listing was made 3 s or more after that stamp was first
seen (by the monotonic clock, whatever the file server's clock says), or is of a stamp a minute old.
Until then every look lists the directory again, and forgets what the import system knows of it.

# What is held back
Installers take the old version away before they bring the new one, so that a distribution that has
disappeared is reported only when the directory has been quiet for 3 s, and neither a new one of
the same name is being filled nor the old one lies beside as pip's ``~name``. After a minute
nothing but a distribution that has its metadata already can keep it.

Where two of one name lie in a directory, the one that was completed last counts.
"""

import os
from collections import namedtuple

from ._import_caches import invalidate
from ._watched_distribution import GUARD, INSTALLING, WatchedDistribution, stamp_of

_SYSTEM_CACHE = "/var/cache/epcache"
_NS = 1_000_000_000
_SUFFIXES = (".dist-info", ".egg-info")
# What pip makes names of that are not importable, in the first characters of those it puts aside.
_ASIDE = "~-.=%0123456789"

Installation = namedtuple("Installation", "name version path site previous_version", defaults=[None])
Installation.__doc__ = """An installed distribution.

`path` is its ``.dist-info`` or ``.egg-info``, `site` the directory that holds it; `version` is None
where nothing names one. `previous_version` is None but in `Changes.updated`.
"""


class _Told:
    """The last that was said of a name."""

    __slots__ = ("distribution", "gone_since", "installation", "order")

    def __init__(self, distribution, installation):
        self.distribution = distribution
        self.order = distribution.order
        self.installation = installation
        self.gone_since = None


class WatchedDirectory:
    """A directory, which need not exist."""

    def __init__(self, entry, site):
        # As it is on sys.path, for the import system; and by its name.
        self.entry = entry
        self.site = site
        # With those that lead here, too.
        self.entries = {entry}
        # The watcher's to set: device and inode, if it is watched under this name, and when last seen.
        self.identity = None
        self.last = None
        self.stamp = None
        self._index = None
        self._index_stamp = None
        self._since = None
        self._settled = False
        self._turn = 0
        self._distributions = {}
        self._pending = []
        self._told = {}
        self._held = False
        self._aside = ()
        # The names of what never was complete, or was not told of, and has gone since the last look.
        self._vanished = set()

    def installed(self):
        """What has been told, in the order of the names."""
        return [self._told[key].installation for key in sorted(self._told)]

    def poll(self, info, clock, wall):
        """What has changed since the last time: lists of added, updated, removed; None if nothing.

        `info` is the result of `os.stat`, None if there is nothing. `clock` is monotonic, `wall` the
        time in ns.
        """
        stamp = info and stamp_of(info)
        index_stamp = self._index and _stamp_of_index(self._index)
        if stamp != self.stamp or index_stamp != self._index_stamp or self._since is None:
            self.stamp = stamp
            self._index_stamp = index_stamp
            self._since = clock
            self._settled = False
        if not self._settled:
            self._turn += 1
            self._list(clock, wall)
        elif self._pending or self._held:
            self._turn += 1
            for distribution in self._pending:
                distribution.examine(self.site, clock, wall, self._turn)
        else:
            return None
        self._pending = [
            one for one in self._distributions.values() if one.present and not (one.settled and one.complete)
        ]
        return self._compare(clock, wall)

    def _list(self, clock, wall):
        # What nobody has changed for long, the import system knows by itself.
        if self._turn > 1 or not self._is_safe(clock, wall):
            for entry in self.entries:
                invalidate(entry)
        names = ()
        if self.stamp is not None:
            try:
                names = os.listdir(self.site)
            except (FileNotFoundError, NotADirectoryError):
                # Gone since the stat.
                return
            except PermissionError:
                # Nothing is known of it until its mode is changed, which moves the ctime.
                self._settled = self._is_safe(clock, wall)
                return
            except OSError:
                return
        ours = [name for name in names if name.lower().endswith(_SUFFIXES)]
        self._aside = [name for name in ours if name.startswith("~")]
        ours = {name for name in ours if not name.startswith("~")}
        for name in ours - self._distributions.keys():
            self._distributions[name] = WatchedDistribution(name)
        told = {told.distribution for told in self._told.values()}
        self._vanished.clear()
        for name, distribution in list(self._distributions.items()):
            distribution.present = name in ours
            if distribution.present:
                distribution.examine(self.site, clock, wall, self._turn)
            elif distribution not in told:
                self._vanished.add(distribution.stem)
                del self._distributions[name]
        self._settled = self._is_safe(clock, wall)
        if self._index is None and self.stamp is not None:
            self._find_index()

    def _is_safe(self, clock, wall):
        # Generous with the time of day, since the clock of a file server may differ from ours.
        if self.stamp is None or clock - self._since >= GUARD:
            return True
        stamps = [stamp for stamp in (self.stamp, self._index_stamp) if stamp]
        return all(wall - stamp[1] >= INSTALLING * _NS for stamp in stamps)

    def _find_index(self):
        # A package manager that rebuilds a package under the same version does not move the stamp
        # of the directory; its trigger then replaces the index.
        path = f"{_SYSTEM_CACHE}{os.path.realpath(self.site)}/index"
        stamp = _stamp_of_index(path)
        if stamp:
            self._index = path
            self._index_stamp = stamp
            # Between the look at the distributions and this one it may have been replaced.
            self._settled = False

    def _compare(self, clock, wall):
        found = {}
        for one in self._distributions.values():
            if one.present and one.complete:
                other = found.get(one.key)
                if other is None or one.order > other.order:
                    found[one.key] = one
        added, updated, removed = [], [], []
        self._held = False
        for key in sorted(found.keys() | self._told.keys()):
            one = found.get(key)
            told = self._told.get(key)
            if one is None:
                if self._may_return(told, clock, wall):
                    self._held = True
                    continue
                removed.append(told.installation._replace(previous_version=None))
                self._forget(key)
            elif told is None:
                self._told[key] = told = _Told(one, self._installation(one))
                added.append(told.installation)
            elif told.order != one.order:
                installation = self._installation(one)
                version = told.installation.version
                self._told[key] = _Told(one, installation)
                updated.append(installation._replace(previous_version=version))
            else:
                told.gone_since = None
        return (added, updated, removed) if added or updated or removed else None

    def _forget(self, key):
        one = self._told.pop(key).distribution
        if not one.present and self._distributions.get(one.file_name) is one:
            del self._distributions[one.file_name]

    def _installation(self, one):
        path = os.path.join(self.site, one.file_name)
        return Installation(one.snapshot.name, one.snapshot.version, path, self.site)

    def _may_return(self, told, clock, wall):
        """Whether what has disappeared may be about to be replaced."""
        stem = told.distribution.stem
        if told.gone_since is None or stem in self._vanished:
            told.gone_since = clock
        for one in self._distributions.values():
            if one.present and not one.complete and one.stem == stem and one.is_begun(clock, wall):
                told.gone_since = clock
                return True
        if clock - told.gone_since >= INSTALLING:
            return False
        if any(_was(aside, told.distribution.file_name) for aside in self._aside):
            return True
        if clock - self._since >= GUARD:
            return False
        # What is renamed while a directory is listed may be in neither place: did it move meanwhile?
        ctime = _ctime(self.site)
        if self.stamp is None:
            return ctime is not None or wall - _ctime_above(self.site) < GUARD * _NS
        return ctime != self.stamp[1] or wall - ctime < GUARD * _NS


def _was(aside, name):
    """Whether this may be what pip called `name` before it put it aside."""
    return len(aside) == len(name) and name.endswith(aside.lstrip(_ASIDE))


def _ctime(path):
    try:
        return os.stat(path).st_ctime_ns
    except (OSError, ValueError):
        return None


def _ctime_above(path):
    """The ctime of the nearest directory above that exists: the path is gone since then at most."""
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
