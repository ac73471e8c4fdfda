"""The full walk over a search path, for what the plain case does not cover: stale, several or no
indexes, zip files, warnings.
"""

import posix
import time

from . import (
    NO_MEMORY,
    Scan,
    Unusable,
    environment,
    identity_of,
    is_repeatable,
    open_index,
    places,
    remember_listing,
    stamp_of,
    user_cache,
)
from ._limits import READ_ATTEMPTS, RESOLVED, VIEWS
from ._names import is_distribution
from ._table import Table
from ._view import View

OTHER = object()  # stands for a zip file, an egg, or what is no string

_views = {}


def modes():
    """What the variable EPCACHE asks for: any of off, strict, warn."""
    return frozenset((environment("EPCACHE") or "").replace(" ", "").split(","))


class FullScan(Scan):
    """A walk that finds a `View` for each directory with distributions, and `OTHER` for the rest.

    `sources` has pairs of an entry and what it holds. `warnings` are pairs of an entry and a text.
    """

    def __init__(self, entries, unusable=(), begun=None):
        super().__init__(entries)
        given = modes()
        self.strict = "strict" in given
        self.warnings = []
        self._use_indexes = "off" not in given
        self._unusable = set(unusable)
        self._seen = {}
        self._distrusted = set()  # entries with an index that can't be used
        self._resolved = 0
        found = self.walk(begun)
        self.sources = [(entry, source) for entry, source in zip(self.entries, found) if source is not None]
        # Whether everything comes from indexes that have the site proof.
        self.plain = all(isinstance(source, View) and source.cacheable for _, source in self.sources)

    def all_warnings(self):
        """All warnings, once answers have been taken from the views."""
        views = [(entry, source) for entry, source in self.sources if isinstance(source, View)]
        return self.warnings + [(entry, view.doubt) for entry, view in views if view.doubt]

    def other(self, entry):
        self.cacheable = False
        return OTHER

    def directory(self, entry, info, descriptor):
        if entry in self._seen:
            # Twice on the path: twice the same distributions, but not the same objects.
            found = self._seen[entry]
            found = found.again() if isinstance(found, View) else found
        else:
            try:
                found = super().directory(entry, info, descriptor)
            except OSError:
                self.cacheable = False
                found = None
            self._seen[entry] = found
        if isinstance(found, View) and found.index is not None:
            self.believe_without(found.index)
            self.indexes.append(found.index)
            self.cacheable = self.cacheable and found.cacheable
        return found

    def indexed(self, entry, info, listing):
        if not self._use_indexes:
            return None
        return self._indexed(entry, info, places(entry, listing, self._missing))

    def unindexed(self, entry, info, names):
        if self._use_indexes and entry and self._resolved < RESOLVED:
            # Only now that something is to be gained, since it takes a while.
            from os.path import realpath

            self._resolved += 1
            real = realpath(entry)
            if real != entry:
                # The one inside is the same file.
                found = self._indexed(entry, info, places(real, (), self._missing))
                if found is not None:
                    return found
        names = [name for name in names if is_distribution(name)]
        if self._use_indexes and entry not in self._distrusted:
            remember_listing(entry, info, names)
        return self.listed(entry, names)

    def listed(self, entry, names):
        self.cacheable = False
        return View.listed(entry, names)

    def _indexed(self, entry, info, candidates):
        """The `View` by the best of the indexes at these places; None if none of them can be used."""
        kept = _views.get(entry)
        if kept is not None and not self.strict and self._is_current(kept, info):
            if kept.warning:
                self.warnings.append((entry, kept.warning))
            return kept
        stale = None
        for place in candidates:
            if place in self._unusable:
                self._distrusted.add(entry)
                continue
            try:
                index, why = self._open(place, entry, info)
                if index is None:
                    continue
                if why is None:
                    return self._proven(entry, index)
                if not why:
                    # The content of each distribution proves it, whatever has changed.
                    return self._stale(entry, info, index, why)
                stale = stale or (index, why)
            except (Unusable, MemoryError) as found:
                self._unusable.add(place)
                self._warn_of_unusable(entry, place, str(found) or NO_MEMORY)
        return None if stale is None else self._stale(entry, info, *stale)

    def _proven(self, entry, index):
        view = View.indexed(entry, index)
        if not _is_the_users_own(index):
            # No trigger keeps an index of a directory that belongs to others.
            view.settle(time.time_ns())
        view.cacheable = view.cacheable and index.cacheable
        if view.cacheable:
            view.stamp = index.seen or index.site
            _remember(view)
        return view

    def _stale(self, entry, info, index, why):
        text = None
        if why:
            text = f"the index {index.path} is stale: {why}; what it does not prove is read from the disk"
            self.warnings.append((entry, text))
        try:
            view = View.stale(entry, index, posix.listdir(entry))
            if _may_be_kept(view, info, text):
                view.stamp = stamp_of(info)
                view.warning = text
                _remember(view)
        except OSError:
            return None
        except Unusable as found:
            self._warn_of_unusable(entry, index.path, found)
            return None
        return view

    def _warn_of_unusable(self, entry, place, why):
        self._distrusted.add(entry)
        self.warnings.append((entry, f"the index {place} {why}; the directory is read instead"))

    def _open(self, place, entry, info):
        """The index, read whole, and why it does not give the site proof.

        The reason is None if it does, and empty if that needs no warning.
        """
        for _ in range(READ_ATTEMPTS):
            index = open_index(place, entry, info.st_uid)
            if index is None:
                return None, None
            try:
                whole = index.take_whole()
            finally:
                index.close()
            if not whole:
                continue
            if self.strict:
                return index, ""
            why = _why_unproven(index, entry, info)
            if why is None:
                if not index.untrusted or index.take_order(Table(index).names(), posix.listdir(entry)):
                    return index, None
                why = _NOT_THE_LISTING
            # Again, if the index was replaced or the directory changed between the two looks.
            before, info = stamp_of(info), posix.stat(entry)
            try:
                now = posix.stat(place)
            except OSError:
                return None, None
            if stamp_of(info) == before and identity_of(now) == index.identity:
                break
        if not whole:
            raise index.unusable("was replaced again and again")
        if why is _NOT_THE_LISTING:
            raise index.unusable(why)
        return index, why

    def _is_current(self, view, info):
        index = view.index
        try:
            same = stamp_of(info) == view.stamp and identity_of(posix.lstat(index.path)) == index.identity
        except OSError:
            same = False
        if not same or index.path in self._unusable:
            del _views[view.entry]
            return False
        return True


_NOT_THE_LISTING = "has other distributions than the directory"


def _why_unproven(index, entry, info):
    """Why an index does not give the site proof; None if it does."""
    if not index.settled:
        return "the directory was still changing when it was made"
    if stamp_of(info) == index.site and not index.has_witnesses():
        return None
    if not index.sealed:
        return "the directory has changed since it was made"
    from ._sealed import proof

    return proof(index, entry, info)


def _is_the_users_own(index):
    return index.path.startswith(user_cache() or "\0")


def _may_be_kept(view, info, warning):
    """Whether what was proven of a directory with a stale index is kept while neither changes.

    That is as good as the index that `epcache refresh` would write now: what was proven is settled, and
    the rest is read from the disk each time. It is not where the index wants its distributions to be
    looked at every time, or where the directory is so young that its stamp may stay the same. Nor is it
    in a directory of the system: package managers replace files without changing its stamp, and after a
    failed transaction of pacman no trigger replaces the index.
    """
    return (
        warning
        and not view.index.untrusted
        and not view.index.unsettled
        and not _is_the_users_own(view.index)
        and not is_repeatable(info.st_mtime_ns, info.st_ctime_ns)
        and stamp_of(posix.stat(view.entry)) == stamp_of(info)
    )


def _remember(view):
    if len(_views) >= VIEWS:
        _views.clear()
    _views[view.entry] = view
