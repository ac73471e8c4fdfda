"""Answers as objects of `importlib.metadata` or `importlib_metadata`, with the rules of that release."""

import functools
import operator
import pathlib
import sys

from . import asked_for, module_of_finder
from ._distribution import disguised, indexed
from ._names import SUFFIXES, has_stem, stem
from ._releases import release_of
from ._scan import modes
from ._table import ENTRY_POINTS

_backends = {}  # by the name of their module


def of(module):
    """The backend of a module; None if its release is not known."""
    known = _backends.get(module.__name__)
    if known is None or known.module is not module or known.finder is not module.MetadataPathFinder:
        release = release_of(module)
        if release is None:
            return None
        known = _backends[module.__name__] = (Backend if release.unique else Backend39)(module, release)
    return known


def of_finder(finder):
    """The backend for a finder that searches `sys.path`; None for any other."""
    module = sys.modules.get(module_of_finder(finder))
    return None if module is None else of(module)


def distribution_in(view, item):
    """The `importlib.metadata.Distribution` in that place of a `View`."""
    import importlib.metadata

    backend = of(importlib.metadata)
    if backend is not None and view.index is not None:
        return backend.distribution(view, item)
    kept = view.cache.setdefault("distributions", {})
    if item not in kept:
        path = pathlib.Path(view.entry, view.names[item])
        kept[item] = importlib.metadata.PathDistribution(path)
    return kept[item]


class Backend:
    """Answers of a release that has the rules of CPython 3.10 or newer."""

    def __init__(self, module, release):
        self.module = module
        self.release = release
        self.unique = release.unique
        self.entry_points_type = getattr(module, "EntryPoints", list)
        # Before 3.12 they were a list, which programs may change.
        is_fixed = issubclass(self.entry_points_type, tuple)
        self._selectable = _selectable(module) if is_fixed else self.entry_points_type
        self.finder = module.MetadataPathFinder
        self.original = _search_of(self.finder)
        # In importlib_metadata before 7.0 it was a method of instances, that only used their class.
        self.function = getattr(self.original, "__func__", self.original)
        self.find_distributions = functools.partial(self.function, self.finder)
        self._search = self.finder.__dict__.get("_search_paths")
        self._indexed = indexed(module.PathDistribution, self)
        self._deferred = None  # what makes messages that have not been read
        self._entry_point = module.EntryPoint
        # How entry points are made that are nothing but their attributes: then many are made at once.
        self._made_by = None if release.tuples or release.validates else _makers(module.EntryPoint)
        # The flag of distributions whose entry points this release may read in another way; none if empty.
        self._refused = b"r" if release.validates else b""
        unique = getattr(module, "_unique", None)
        self.key = getattr(unique, "keywords", {}).get("key", operator.attrgetter("_normalized_name"))
        self.has_metadata = module._safe_has_metadata if release.valid_first else None
        self._convert = module.localize.dist if release.converts else None

    def is_untouched(self):
        """Whether the module's own finder is in place, or its stand-in, with all of its parts."""
        finder = self.finder
        return (
            self.module.MetadataPathFinder is finder
            and _search_of(finder) is self.original
            and self.searches_as_always(finder)
        )

    def searches_as_always(self, finder):
        """Whether nobody has replaced how a finder searches a path."""
        return (
            finder.__dict__.get("_search_paths", self._search) is self._search
            and self.finder.__dict__.get("_search_paths") is self._search
        )

    def of(self, finder):
        """The backend for a finder that searches `sys.path`; None for any other."""
        return of_finder(finder)

    def takes(self, view):
        """Whether a `View` can be answered from; otherwise the path entry is searched anew."""
        return True

    def warn(self, warnings):
        """Report what is wrong with indexes, if that is wanted: the program may not know this package."""
        if warnings and "warn" in modes():
            from ._warning import warn

            warn(warnings)

    def order(self, view):
        """The places of all distributions, in their order."""
        return view.grouped()

    def named(self, view, name):
        """The places of the distributions of that name."""
        return view.named(name)

    def row_of_entry_points(self, view, item):
        """The row of the index that has the entry points of a distribution; None: read the disk."""
        row = view.rows[item]
        if row is None or row in view.index.opaque:
            return None
        if self._refused and self._refused in view.table.flags(row):
            return None
        return row if view.cacheable else view.row(item, ENTRY_POINTS)

    def made(self, view, item, records):
        """Entry points of records (group, name, value) of the index."""
        if not records:
            return ()
        distribution = self.distribution(view, item)
        make = self._entry_point
        if self._made_by is not None and self._made_by == _makers(make):
            found = []
            new = object.__new__
            for group, name, value in records:
                entry_point = new(make)
                entry_point.__dict__.update(name=name, value=value, group=group, dist=distribution)
                found.append(entry_point)
            return found
        return self._declared_by(distribution, [make(name, value, group) for group, name, value in records])

    def _declared_by(self, distribution, entry_points):
        for entry_point in entry_points:
            entry_point._for(distribution)
        return entry_points

    def read(self, view, item, group):
        """The entry points of a group, of all groups if it is None, from the disk."""
        found = self.distribution(view, item).entry_points
        return [entry_point for entry_point in found if group in (None, entry_point.group)]

    def distribution(self, view, item):
        """The object for a distribution; the same for as long as a view with an index is kept."""
        if view.index is None:
            return self.module.PathDistribution(pathlib.Path(view.entry, view.names[item]))
        kept = view.cache.get(self)
        if kept is None:
            kept = view.cache[self] = {}
        found = kept.get(item)
        if found is None:
            view.index.view = view
            found = kept[item] = self._indexed(view, item)
        return found

    def message(self, distribution, row):
        """The metadata of a distribution that the index describes in this row."""
        if self._deferred is None:
            from ._message import deferred

            self._deferred = deferred(_message_class(self.module))
        return self._deferred(distribution, row)

    def all(self, view):
        """The objects for all distributions, in their order."""
        if view.index is None or view.cache.get(self):
            return [self.distribution(view, item) for item in self.order(view)]
        view.index.view = view
        found = []
        kept = view.cache[self] = {}
        new, kind = object.__new__, self._indexed
        for item in self.order(view):
            # This is what calling the class does; the call would take most of the time.
            kept[item] = distribution = new(kind)
            distribution._view = view
            distribution._item = item
            found.append(distribution)
        return found

    def own_key(self, view, item):
        """What two distributions are compared by, where neither directory nor index has a name."""
        return self.module.PathDistribution._normalized_name.fget(self.distribution(view, item))

    def of_path_entry(self, entry, name):
        """The module's own search of one path entry."""
        return self.find_distributions(self._context(name=name, path=[entry]))

    def of_finder(self, find_distributions, name):
        """Distributions of another finder, all or those of one name."""
        found = find_distributions(self._context(name=name))
        return found if self._convert is None else map(self._convert, found)

    def _context(self, **arguments):
        return self.module.DistributionFinder.Context(**arguments)

    def entry_points(self, distribution):
        """The entry points of a distribution of any kind."""
        return distribution.entry_points

    def selectable(self, entry_points):
        """Entry points as the module's `EntryPoints`."""
        kind = self.module.EntryPoints
        return (self._selectable if kind is self.entry_points_type else kind)(entry_points)


class Backend39(Backend):
    """Answers as CPython 3.9 does, which reads ``entry_points.txt`` with `configparser`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._refused = b"c"  # files that `configparser` reads in another way

    def takes(self, view):
        # The order is that of the listing, which an index with names of other kinds does not keep.
        if view.index is None:
            return True
        taken = view.cache.get("plainly named")
        if taken is None:
            taken = view.cache["plainly named"] = all(map(_is_plainly_named, view.names))
        return taken

    def order(self, view):
        return range(len(view.names))

    def named(self, view, name):
        wanted = name.lower().replace("-", "_")
        exact = (f"{wanted}.dist-info", f"{wanted}.egg-info")
        return [
            item
            for item, low in enumerate([name.lower() for name in view.names])
            if low in exact or low.startswith(f"{wanted}-") and low.endswith(SUFFIXES)
        ]

    def _declared_by(self, distribution, entry_points):
        return entry_points  # they do not know their distribution


def _search_of(finder):
    """The method by which a finder finds distributions; the original one where a stand-in is in place."""
    found = finder.__dict__.get("find_distributions")
    startup = sys.modules.get("epcache_startup")
    return found if startup is None else startup.originals.get(found, found)


def _is_plainly_named(name):
    return has_stem(name) and name.isprintable() and stem(name) != ""


def _message_class(module):
    """The class of the messages that a module makes of metadata."""
    if not hasattr(module, "__path__"):  # 3.9
        from email.message import Message

        return Message
    from importlib import import_module

    return import_module(f"{module.__name__}._adapters").Message


def _selectable(module):
    """A class like the module's `EntryPoints` that selects a group in less time.

    The module compares each entry point with what is asked for. Programs that ask group by group, such as stevedore, do
    so for each of dozens of groups.
    """
    base, kind = module.EntryPoints, module.EntryPoint
    select, matches = base.select, kind.matches

    class Selectable(base):
        _by_group = None

        @property  # type: ignore[misc]
        def __class__(self):
            return base

        def select(self, **params):
            group, _ = asked_for(params)
            # Where somebody has replaced how entry points are compared, that has to run.
            if base.select is not select or kind.matches is not matches:
                return base.select(self, **params)
            if not params:
                return Selectable(self)
            if group is None:
                return select(self, **params)
            by_group = self._by_group
            if by_group is None:
                by_group = {}
                for entry_point in self:
                    # A finder of others may have made it.
                    if type(entry_point) is not kind or type(entry_point.group) is not str:
                        return select(self, **params)
                    by_group.setdefault(entry_point.group, []).append(entry_point)
                self._by_group = by_group
            del params["group"]
            return select(base(by_group.get(group, ())), **params)

        def __reduce__(self):
            return base, (tuple(self),)

    return disguised(Selectable, base)


def _makers(entry_point):
    return entry_point.__new__, entry_point.__init__, entry_point._for
