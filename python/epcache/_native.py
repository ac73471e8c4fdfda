"""The flavour of `importlib.metadata` and `importlib_metadata`: their own classes and semantics.

Where a version of them is not understood, `understood` says so, and it is left as it is.
"""

import operator
import sys

from . import searches_sys_path
from ._indexed import indexed
from ._names import SUFFIXES, normalized, stem
from ._path import modes
from ._table import ENTRY_POINTS
from ._top_level import from_disk, from_table, rule_of

flavours = {}  # by the name of their module


def understood(module):
    """Whether the module works as those do that this was made for."""
    if module.__name__ == "importlib.metadata":
        return sys.version_info >= (3, 9)
    # Its releases for 3.9 and later that find distributions as CPython from 3.10 on does.
    needed = ["EntryPoints", "Lookup", "MetadataPathFinder", "Prepared"]
    if prefers_metadata(module):
        needed.append("_safe_has_metadata")
    return all(hasattr(module, name) for name in needed)


def prefers_metadata(module):
    """Whether entry_points() of the module takes distributions that have metadata first."""
    function = module.entry_points
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return "_prefer_valid" in getattr(getattr(function, "__code__", None), "co_names", ())


class Native:
    """Answers in the form of one module. `find_distributions` is the module's own, bound."""

    once = False

    def __init__(self, module, find_distributions):
        self.module = module
        self.unique = self._groups = hasattr(module, "EntryPoints")
        self.entry_points_type = getattr(module, "EntryPoints", list)
        self._find_distributions = find_distributions
        self._indexed = indexed(module.PathDistribution, self)
        self._entry_point = module.EntryPoint
        # What makes entry points that are nothing but their attributes, so that they can be made at one
        # go; None where there is more to it.
        self._made_by = _makers(module.EntryPoint) if _is_its_attributes(module.EntryPoint) else None
        self._unconfirmed = _unconfirmed(module.EntryPoint)
        self._at_once = issubclass(module.EntryPoint, tuple)
        # What 3.9 may read in another way, and what some versions refuse, they have to be shown.
        self._shown = b"" if self._groups else b"c"
        if _refuses(module.EntryPoint):
            self._shown = b"r"
        self._rule = rule_of(module)
        # How the module tells two distributions apart, and, where its entry_points() puts those
        # without metadata last, how it knows them.
        unique = getattr(module, "_unique", None)
        self._key = getattr(unique, "keywords", {}).get("key", operator.attrgetter("_normalized_name"))
        self.has_metadata = module._safe_has_metadata if prefers_metadata(module) else None
        # Newer releases of importlib_metadata make other providers' distributions into their own.
        self._local = getattr(getattr(module, "localize", None), "dist", None)

    def of(self, finder):
        if not searches_sys_path(finder):
            return None
        kind = finder if isinstance(finder, type) else type(finder)
        own = kind.__module__ == "importlib_metadata"
        return flavours.get("importlib_metadata" if own else "importlib.metadata")

    def takes(self, view):
        if view.index is None:
            return False
        # Before 3.10 the order is that of the listing, which an index with such names does not keep.
        return self._groups or all(map(_plainly_named, view.names))

    def tell(self, troubles):
        # Programs that know nothing of this package did not ask to be told.
        if troubles and "warn" in modes():
            from ._warning import tell

            tell(troubles)

    def order(self, view):
        return view.grouped() if self._groups else range(len(view.names))

    def named(self, view, name):
        if self._groups:
            return view.stems().get(normalized(name), ())
        wanted = name.lower().replace("-", "_")
        exact = (f"{wanted}.dist-info", f"{wanted}.egg-info")
        names = [name.lower() for name in view.names]
        return [
            item
            for item, low in enumerate(names)
            if low in exact or low.startswith(f"{wanted}-") and low.endswith(SUFFIXES)
        ]

    def row_of_entry_points(self, view, item):
        row = view.rows[item]
        if row is None or row in view.index.opaque:
            return None
        if self._shown and self._shown in view.table.flags(row):
            return None
        if self._at_once and view.index.foreign and view.has_moved(row):
            return None
        return row if view.lasting else view.row(item, ENTRY_POINTS)

    def made(self, view, item, records):
        if not records:
            return ()
        distribution = self.distribution(view, item)
        make = self._entry_point
        if view.index.foreign:
            found = self._made_of_foreign(view, view.rows[item], records, distribution)
        elif self._made_by is not None and self._made_by == _makers(make):
            found = []
            new = object.__new__
            for group, name, value in records:
                entry_point = new(make)
                entry_point.__dict__.update(name=name, value=value, group=group, dist=distribution)
                found.append(entry_point)
            return found
        else:
            found = [make(name, value, group) for group, name, value in records]
        if self._groups:
            for entry_point in found:
                entry_point._for(distribution)
        return found

    def _made_of_foreign(self, view, row, records, distribution):
        from ._confirm import TamperedIndexError

        make = self._unconfirmed(view.index, row)
        try:
            return [make(name, value, group) for group, name, value in records]
        except TamperedIndexError:
            # Unless it has changed since it was last looked at.
            if not view.has_moved(row):
                raise
            groups = {group for group, _, _ in records}
            return [entry_point for entry_point in distribution.entry_points if entry_point.group in groups]

    def read(self, view, item, group):
        """The entry points of a group, or all, from the disk."""
        found = self.distribution(view, item).entry_points
        return [entry_point for entry_point in found if group in (None, entry_point.group)]

    def distribution(self, view, item):
        """The object for a distribution; the same for as long as the view is kept."""
        kept = view.made.get(self)
        if kept is None:
            kept = view.made[self] = {}
        found = kept.get(item)
        if found is None:
            view.index.view = view
            found = kept[item] = self._indexed(view, item)
        return found

    def all(self, view):
        """Those of all distributions, in their order."""
        if view.made.get(self):
            return [self.distribution(view, item) for item in self.order(view)]
        view.index.view = view
        found = []
        kept = view.made[self] = {}
        new, kind = object.__new__, self._indexed
        for item in self.order(view):
            # What calling the class would do, which for all of them is most of what this takes.
            kept[item] = distribution = new(kind)
            distribution._view = view
            distribution._item = item
            found.append(distribution)
        return found

    def of_path_entry(self, entry, name=None):
        """The module's own search of one path entry."""
        context = self.module.DistributionFinder.Context(name=name, path=[entry])
        return self._find_distributions(context)

    def of_finder(self, find_distributions):
        found = find_distributions(self.module.DistributionFinder.Context())
        return found if self._local is None else map(self._local, found)

    def key(self, distribution):
        return self._key(distribution)

    def own_key(self, distribution):
        return self.module.PathDistribution._normalized_name.fget(distribution)

    def entry_points(self, distribution):
        return distribution.entry_points

    def top_level(self, table, row, strict):
        return from_table(self._rule, table, row, strict)

    def provided(self, distribution):
        names = from_disk(self.module, distribution)
        return names, distribution.metadata["Name"] if names else None


def _plainly_named(name):
    # Leading dots alone are no stem, as for os.path.splitext.
    if not name.endswith(SUFFIXES) or name.rpartition(".")[0].strip(".") == "":
        return False
    return name.isprintable() and stem(name) != ""


def _makers(entry_point):
    return entry_point.__new__, entry_point.__init__, getattr(entry_point, "_for", None)


def _is_its_attributes(entry_point):
    """Whether making one, for a distribution, does no more than to set these four."""
    if issubclass(entry_point, tuple) or not hasattr(entry_point, "_for"):
        return False
    made = entry_point("name", "m:attr", "group")._for("distribution")
    return made.__dict__ == {"name": "name", "value": "m:attr", "group": "group", "dist": "distribution"}


def _refuses(entry_point):
    try:
        entry_point("name", "no reference", "group")
    except ValueError:
        return True
    return False


def _unconfirmed(entry_point):
    """For an index whose word is not taken for code: what makes entry points of a distribution.

    Where they are plain tuples their values can't be guarded later, so they are confirmed at once.
    """
    from ._confirm import confirm

    if issubclass(entry_point, tuple):

        def at_once(index, row):
            def make(name, value, group):
                return entry_point(name, confirm(index, row, name, value, group), group)

            return make

        return at_once

    class Unconfirmed(entry_point):
        @property
        def value(self):
            attributes = self.__dict__
            if "_origin" in attributes:
                attributes["value"] = confirm(
                    *attributes["_origin"], self.name, attributes["value"], self.group
                )
                del attributes["_origin"]
            return attributes["value"]

        def __reduce__(self):
            attributes = {"name": self.name, "value": self.value, "group": self.group, "dist": self.dist}
            return _restored, (entry_point, attributes)

    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Unconfirmed, attribute, getattr(entry_point, attribute))

    def later(index, row):
        def make(name, value, group):
            made = Unconfirmed(name, value, group)
            made.__dict__["_origin"] = index, row
            return made

        return make

    return later


def _restored(entry_point, attributes):
    made = entry_point(attributes["name"], attributes["value"], attributes["group"])
    return made._for(attributes["dist"])
