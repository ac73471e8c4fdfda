"""What the entries of a search path hold: for each a `View`, nothing, or what only
`importlib.metadata` can read.

Entries are looked at from the end, since the index of a site directory may say of directories in
front of it (the standard library) that they hold no distributions.
"""

import posix
import time

from . import (
    Unusable,
    environment,
    holds_distributions,
    identity_of,
    is_repeatable,
    open_index,
    places,
    remember_without_distributions,
    stamp_of,
    user_cache,
    without_distributions,
)
from ._view import View

OTHER = object()  # a zip file, an egg, no string: importlib.metadata knows

_ATTEMPTS = 3  # how often something that changes under our eyes is looked at again
_MOST = 64  # at most as many views are kept

_views = {}


def modes():
    """What the variable EPCACHE asks for: any of off, strict, warn."""
    return frozenset((environment("EPCACHE") or "").replace(" ", "").split(","))


class Look:
    """One look at a search path. `troubles` are told to the user where that is wanted."""

    def __init__(self, entries, unusable=()):
        given = modes()
        self.entries = list(entries)
        self.strict = "strict" in given
        self.stamps = []
        self.lasting = True  # whether the stamps tell of every later change
        self.indexes = []
        self.troubles = []
        self._use_indexes = "off" not in given
        self._unusable = set(unusable)
        self._without = {}
        self._seen = {}
        sources = [(entry, self._source(entry)) for entry in reversed(self.entries)]
        sources.reverse()
        self.stamps.reverse()
        self.sources = [(entry, source) for entry, source in sources if source is not None]
        # Whether all there is comes from indexes that have the site proof.
        self.plain = all(isinstance(source, View) and source.lasting for _, source in self.sources)

    def all_troubles(self):
        """What there is to tell, now that answers have been taken from it."""
        moved = [
            (
                entry,
                f"{source.moved!r} was not settled when the index {source.index.path} was made, and has changed",
            )
            for entry, source in self.sources
            if isinstance(source, View) and source.moved
        ]
        return self.troubles + moved

    def _source(self, entry):
        if not isinstance(entry, str) or entry.rpartition("/")[2].lower().endswith(".egg"):
            self.lasting = False
            self.stamps.append(None)
            return OTHER
        try:
            info = posix.stat(entry or ".")
        except OSError:
            self.stamps.append(None)
            return None  # neither a directory nor a zip file
        except ValueError:
            self.lasting = False
            self.stamps.append(None)
            return OTHER
        self.stamps.append(stamp_of(info))
        kind = info.st_mode & 0o170000
        if kind != 0o040000:
            self.lasting = False
            return OTHER if kind == 0o100000 else None
        if entry in self._seen:
            # Twice on the path: twice the same distributions, but not the same objects.
            source = self._seen[entry]
            source = source.again() if isinstance(source, View) else source
        else:
            source = self._seen[entry] = self._directory(entry, info)
        if isinstance(source, View) and source.index is not None:
            self._note(source)
        return source

    def _directory(self, entry, info):
        stamp = stamp_of(info)
        if stamp in (without_distributions.get(entry), self._without.get(entry)):
            return None
        use_index = self._use_indexes and entry
        view = self._indexed(entry, info, places(entry)) if use_index else None
        if view is None:
            try:
                names = posix.listdir(entry or ".")
            except OSError:
                self.lasting = False
                return None
            if not holds_distributions(names):
                self.lasting = remember_without_distributions(entry, info) and self.lasting
                return None
            if use_index:
                # Only now, when something is to be gained, as it takes a while.
                from os.path import realpath

                real = realpath(entry)
                if real != entry:
                    candidates = places(real)
                    next(candidates)  # the one inside is the same file
                    view = self._indexed(entry, info, candidates)
        if view is None:
            self.lasting = False
            return View.listed(entry, names)
        return view

    def _indexed(self, entry, info, candidates):
        kept = _views.get(entry)
        if kept is not None and not self.strict and self._holds(kept, info):
            if kept.trouble:
                self.troubles.append((entry, kept.trouble))
            return kept
        stale = None
        for place in candidates:
            if place in self._unusable:
                continue
            try:
                index, why = self._open(place, entry, info)
                if index is None:
                    continue
                if why is None:
                    view = View.indexed(entry, index)
                    if not place.startswith(user_cache() or "\0"):
                        # Of a directory that is somebody else's nobody tells when it changes.
                        view.settle(time.time_ns())
                    view.lasting = view.lasting and index.lasting
                    return self._keep(view)
                stale = stale or (index, why)
            except Unusable as found:
                self._unusable.add(place)
                self.troubles.append((entry, f"the index {place} {found}; the directory is read instead"))
        if stale is None:
            return None
        index, why = stale
        text = None
        if why:
            text = f"the index {index.path} is stale: {why}; what it can't vouch for is read instead"
            self.troubles.append((entry, text))
        try:
            view = View.stale(entry, index, posix.listdir(entry))
            self._keep_stale(view, info, text)
        except OSError:
            return None
        except Unusable as found:
            self.troubles.append((entry, f"the index {index.path} {found}; the directory is read instead"))
            return None
        return view

    def _open(self, place, entry, info):
        """The index, all of it in memory, and why it does not give the site proof: None if it does,
        empty if nobody has to be told."""
        for _ in range(_ATTEMPTS):
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
            sealed = None
            if index.settled and stamp_of(info) == index.site and not index.has_witnesses():
                return index, None
            if index.settled and index.sealed:
                from ._sealed import proof

                sealed = proof(index, entry, info)
                if sealed is None:
                    return index, None
            # Did we look while it was being brought up to date?
            before, info = stamp_of(info), posix.stat(entry)
            try:
                now = posix.stat(place)
            except OSError:
                return None, None
            if stamp_of(info) == before and identity_of(now) == index.identity:
                break
        if not whole:
            raise index.unusable("was replaced again and again")
        if sealed:
            return index, sealed
        if index.settled:
            return index, "the directory has changed since it was made"
        return index, "the directory was still changing when it was made"

    def _holds(self, view, info):
        index = view.index
        try:
            same = stamp_of(info) == view.stamp and identity_of(posix.lstat(index.path)) == index.identity
        except OSError:
            same = False
        if not same or index.path in self._unusable:
            del _views[view.entry]
            return False
        return True

    def _keep(self, view):
        if view.lasting:
            view.stamp = view.index.seen or view.index.site
            self._remember(view)
        return view

    def _keep_stale(self, view, info, trouble):
        """Keep what was proven of a directory that differs from its index, for as long as neither changes.

        That is as good as the index that `epcache refresh` would write now: what was proven is settled,
        and what was not is read from the disk each time. It is not where the index itself asks to look
        at its distributions every time, or the directory is so young that its stamp may stay the same.
        """
        stamp = stamp_of(info)
        if (
            not trouble
            or view.index.unsettled
            or view.index.path.startswith(user_cache() or "\0")
            or is_repeatable(*stamp[:2])
            or stamp_of(posix.stat(view.entry)) != stamp
        ):
            return
        view.stamp = stamp
        view.trouble = trouble
        self._remember(view)

    @staticmethod
    def _remember(view):
        if len(_views) >= _MOST:
            _views.clear()
        _views[view.entry] = view

    def _note(self, view):
        self._without.update(view.index.without)
        self.indexes.append(view.index)
        self.lasting = self.lasting and view.lasting
