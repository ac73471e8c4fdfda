"""What is installed: the walk over `sys.meta_path` and `sys.path`.

It follows `importlib.metadata.entry_points()`: every finder that knows distributions, in order; for
the standard one every path entry, in order; and of several distributions with one key only the
first. A path entry with an index that is proven fresh is answered from it, any other from the disk.

# When is an index fresh
SITE is stat'ed once, before the index is opened, and the stamp that the index records has to be the
same. Looking only once is enough, and the order does not matter: the bytes behind an open index
never change, and what they say is right for as long as SITE has the recorded stamp. So the answer
is that of the moment of the stat, which lies within the call. Where SITE changes and its index is
replaced between the two steps they do not match, and both are looked at again.

# What is remembered
Programs ask again and again, so the answers of the first index on the path are kept. They stand as
long as SITE has the stamp that the index records, and the file is still the one that they are from:
two looks at the disk, and nothing is read. Only simple indexes are kept: where a distribution is
opaque or unsettled, more would have to be looked at; where two have one name, or an earlier path
entry has distributions too, the answer depends on others.
"""

import posix
import sys
import time

from . import _locate
from ._entry_points import EntryPoint
from ._index import Index, Unusable

_GUARD = 3_000_000_000  # ns; younger stamps may be repeated by a later change (FAT's 2 s, and skew)
_OPEN = 8  # at most as many indexes are kept open
_ATTEMPTS = 3  # how often something that changes under our eyes is looked at again

_MOST = 64  # at most as many path entries are remembered

_without_distributions = {}
_recent = {}


class _Stale(Exception):
    pass


class _NotEnough(Exception):
    """More than the remembered answer is needed: the names of the distributions that it is from."""


class _Recent:
    """What an index has answered."""

    def __init__(self, index):
        self.index = index
        self.answers = {}

    def close(self):
        """Nothing is open."""


def collect(group, troubles):
    """The entry points of a group, of all groups if it is None, as a list.

    What is to be warned about is appended to `troubles`, for `tell`.
    """
    unusable = set()
    remember = True
    while True:
        walk = _Walk(group, unusable, troubles, remember)
        try:
            walk.meta_path()
            return walk.found
        except _NotEnough:
            remember = False
        except Unusable as found:
            # Seen only when part of the answer was given: begin again without that file.
            unusable.add(found.path)
            troubles.append((found.site, f"the index {found.path} {found}"))
        finally:
            walk.close()


class _Walk:
    def __init__(self, group, unusable, troubles, remember):
        self.found = []
        self._group = group
        self._remember = remember
        self._unusable = unusable
        self._troubles = troubles
        self._use_indexes = _locate.environment("EPCACHE") != "off"
        self._caches = _locate.caches()
        self._keys = set()
        # Open indexes whose keys are not in _keys yet, since nothing needed to know them so far.
        self._earlier = []

    def close(self):
        for index in self._earlier:
            index.close()

    def meta_path(self):
        searched = False
        for finder in sys.meta_path:
            find_distributions = getattr(finder, "find_distributions", None)
            if find_distributions is None:
                continue
            if not _searches_sys_path(finder):
                from . import _fallback

                self._add_distributions(_fallback.of_finder(find_distributions))
            elif not searched:
                searched = True
                for entry in sys.path:
                    self._path_entry(entry)

    def _path_entry(self, entry):
        if not isinstance(entry, str) or entry.rpartition("/")[2].lower().endswith(".egg"):
            return self._other_path_entry(entry)
        try:
            info = posix.stat(entry or ".")
        except OSError:
            return None  # neither a directory nor a zip file
        kind = info.st_mode & 0o170000
        if kind != 0o040000:
            return self._other_path_entry(entry) if kind == 0o100000 else None
        if _without_distributions.get(entry) == _stamp(info):
            return None
        use_index = self._use_indexes and entry
        if use_index and self._answered(entry, info):
            return None
        if use_index and self._indexed(entry, info, [_locate.sidecar(entry), *self._mirrored(entry)]):
            return None
        try:
            names = posix.listdir(entry or ".")
        except OSError:
            return None
        # No name holds a slash, so this is one look at all their ends.
        ends = "/".join(names).lower() + "/"
        if ".dist-info/" not in ends and ".egg-info/" not in ends:
            _remember_without_distributions(entry, info)
            return None
        if use_index:
            # Only now, when something is to be gained, as it takes a while.
            from os.path import realpath

            real = realpath(entry)
            if real != entry and self._indexed(entry, info, self._mirrored(real)):
                return None
        from . import _fallback

        return self._add_distributions(_fallback.in_directory(entry, names))

    def _answered(self, entry, info):
        """Whether what is remembered of this path entry could be taken."""
        recent = _recent.get(entry)
        found = None if recent is None else recent.answers.get(self._group)
        if found is None or not self._is_first():
            return False
        index = recent.index
        try:
            same = _stamp(info) == index.site and _identity(posix.lstat(index.path)) == index.identity
        except OSError:
            same = False
        if not same or _locate.distrust(index.file, index.path, info.st_uid):
            _recent.pop(entry, None)
            return False
        self._earlier.append(recent)
        self.found += found
        return True

    def _is_first(self):
        """Whether no path entry so far had distributions, so that none of this one's are hidden."""
        return self._remember and not self._earlier and not self._keys

    def _keep(self, index, entry, found):
        recent = _recent.get(entry)
        if recent is None or recent.index.identity != index.identity or recent.index.path != index.path:
            if len(_recent) >= _MOST:
                _recent.clear()
            recent = _recent[entry] = _Recent(index)
        recent.answers[self._group] = found

    def _other_path_entry(self, entry):
        from . import _fallback

        self._add_distributions(_fallback.of_path_entry(entry))

    def _mirrored(self, site):
        places = [_locate.mirrored(cache, site) for cache in self._caches]
        return [place for place in places if place]

    def _indexed(self, entry, info, places):
        stale = None
        for path in places:
            if path in self._unusable:
                continue
            try:
                index = self._fresh_index(path, entry, info)
            except _Stale as found:
                # Another place may hold a fresh one.
                stale = stale or (entry, f"the index {path} is stale: {found}")
                continue
            except Unusable as found:
                self._unusable.add(path)
                self._troubles.append((entry, f"the index {path} {found}"))
                continue
            if index is not None:
                self._add_index(index, entry)
                return True
        if stale:
            self._troubles.append(stale)
        return False

    def _fresh_index(self, path, entry, info):
        for _ in range(_ATTEMPTS):
            index = open_index(path, entry)
            if index is None:
                return None
            why = "it was not read"
            try:
                distrusted = _locate.distrust(index.file, path, info.st_uid)
                if distrusted:
                    raise Unusable(distrusted, path, entry)
                index.read_header()
                why = _staleness(index, entry, info)
            finally:
                if why:
                    index.close()
            if not why:
                return index
            # Did we look while it was being brought up to date?
            before = _stamp(info)
            info = posix.stat(entry)
            try:
                now = posix.stat(path)
            except OSError:
                return None
            if _stamp(info) == before and _identity(now) == index.identity:
                break
        raise _Stale(why)

    def _add_index(self, index, entry):
        keep = self._is_first() and not (index.opaque or index.duplicates or index.unsettled)
        earlier = len(self._earlier)
        self._earlier.append(index)
        records = index.records(self._group)
        if not records and not index.opaque:
            if keep:
                self._keep(index, entry, [])
            if earlier == _OPEN:
                self._taken(earlier)
            return
        taken = self._taken(earlier)
        hidden = ()
        if index.duplicates or index.opaque:
            from ._rivals import hidden_rows

            hidden = hidden_rows(index, taken)
        elif taken:
            hidden = {row for row in {record[0] for record in records} if index.key(row) in taken}

        of = EntryPoint._of
        if not index.opaque:
            found = [
                of(name, value, group, index, row)
                for row, place, group, name, value in records
                if row not in hidden
            ]
            if keep:
                self._keep(index, entry, found)
            self.found += found
            return
        placed = [
            (index.position(row), place, of(name, value, group, index, row))
            for row, place, group, name, value in records
            if row not in hidden
        ]
        for row in index.opaque - hidden:
            from ._origin import distribution

            for place, entry_point in enumerate(distribution(index, row).entry_points):
                if self._group is None or entry_point.group == self._group:
                    placed.append((index.position(row), place, entry_point))
        placed.sort(key=lambda item: item[:2])
        self.found += [entry_point for _, _, entry_point in placed]

    def _add_distributions(self, distributions):
        from . import _fallback

        for distribution in distributions:
            taken = self._taken(len(self._earlier))
            key = _fallback.key(distribution)
            if key in taken:
                continue
            taken.add(key)
            for entry_point in _fallback.entry_points(distribution):
                if self._group is None or entry_point.group == self._group:
                    self.found.append(entry_point)

    def _taken(self, count):
        """The keys of all distributions so far, the first `count` indexes waiting included.

        The set is the caller's to add to.
        """
        if count:
            from ._rivals import keys_of
        for index in self._earlier[:count]:
            if isinstance(index, _Recent):
                raise _NotEnough
            self._keys.update(keys_of(index))
            index.close()
        del self._earlier[:count]
        return self._keys


def _searches_sys_path(finder):
    """Whether this is the standard finder, or the one by which importlib_metadata replaces it."""
    kind = finder if isinstance(finder, type) else type(finder)
    return (kind.__module__, kind.__name__) in (
        ("_frozen_importlib_external", "PathFinder"),
        ("importlib_metadata", "MetadataPathFinder"),
    )


def open_index(path, site):
    """The index at `path`, or None if there is none."""
    try:
        return Index(path, site)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        # In a directory that we may not enter there may be anything.
        try:
            posix.stat(path)
        except OSError:
            return None
        raise Unusable("can't be read by this user", path, site) from None
    except OSError as error:
        if len(path) > 4000:
            return None
        raise Unusable(f"can't be opened ({error.strerror})", path, site) from None


def _stamp(info):
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size


def _identity(info):
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _staleness(index, entry, info):
    """Why the site proof can't be given, or None."""
    if _stamp(info) != index.site:
        return "the directory has changed since it was made"
    if not index.settled:
        return "the directory was still changing when it was made"
    for row in index.unsettled:
        name = index.directory(row)
        metadata = "/PKG-INFO" if name.lower().endswith(".egg-info") else "/METADATA"
        base = f"{entry}/{name}"
        recorded = index.stamps(row)
        for path, stamp in zip((base, base + metadata, base + "/entry_points.txt"), recorded):
            if _stamp_of_file(path) != stamp:
                return f"{name!r} was not settled when it was made, and has changed"
    return None


def _stamp_of_file(path):
    try:
        return _stamp(posix.lstat(path))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _remember_without_distributions(entry, info):
    # For the next call in this process, which then does not list, say, /usr/bin again.
    if entry and time.time_ns() - max(info.st_mtime_ns, info.st_ctime_ns) > _GUARD:
        if len(_without_distributions) > 500:
            _without_distributions.clear()
        _without_distributions[entry] = _stamp(info)
