"""The flavour of this package's own functions: the semantics of CPython 3.12 on every version.

Nothing here imports `importlib.metadata` before an object is wanted that only it can make.
"""

from . import EntryPoint, EntryPoints, searches_sys_path
from ._table import ENTRY_POINTS
from ._top_level import from_disk, from_table, rule_of


class _Ours:
    once = True  # importlib_metadata's finder stands in for the standard one, both are not asked
    unique = True  # of distributions with one name only the first has entry points
    has_metadata = None  # distributions are taken in their order, with metadata or without
    entry_points_type = EntryPoints
    _indexed = None
    _rule = None

    def of(self, finder):
        return self if searches_sys_path(finder) else None

    def takes(self, view):
        return True

    def tell(self, troubles):
        if troubles:
            from ._warning import tell

            tell(troubles)

    def order(self, view):
        return view.grouped()

    def named(self, view, name):
        from ._names import normalized

        return view.stems().get(normalized(name), ())

    def row_of_entry_points(self, view, item):
        row = view.rows[item]
        if row is None or row in view.index.opaque:
            return None
        return view.row(item, ENTRY_POINTS)

    def made(self, view, item, records):
        index = view.index
        index.view = view
        row = view.rows[item]
        return [EntryPoint._of(name, value, group, index, row) for group, name, value in records]

    def read(self, view, item, group):
        """The entry points of a group, or all, from the disk: as `_fallback.Distribution` reads them,
        without the import of `importlib.metadata`, which would be most of what a stale index costs."""
        from ._parse import entry_points_text, parse

        text = entry_points_text(f"{view.entry or '.'}/{view.names[item]}/entry_points.txt")
        return [EntryPoint(*fields)._at(view, item) for fields in parse(text) if group in (None, fields[2])]

    def distribution(self, view, item):
        """The object for a distribution; the same for as long as the view is kept."""
        kept = view.made.setdefault(self, {})
        if item not in kept:
            from ._fallback import Distribution

            if _Ours._indexed is None:
                from ._indexed import indexed

                _Ours._indexed = indexed(Distribution, self)
            if view.index is None:
                import pathlib

                kept[item] = Distribution(pathlib.Path(view.entry, view.names[item]))
            else:
                kept[item] = _Ours._indexed(view, item)
        return kept[item]

    def all(self, view):
        return [self.distribution(view, item) for item in self.order(view)]

    def of_path_entry(self, entry, name=None):
        from . import _fallback

        return _fallback.of_path_entry(entry, name)

    def of_finder(self, find_distributions):
        from . import _fallback

        return _fallback.of_finder(find_distributions)

    def key(self, distribution):
        from . import _fallback

        return _fallback.key(distribution)

    def own_key(self, distribution):
        from . import _fallback

        return _fallback.Distribution._normalized_name.fget(distribution)

    def entry_points(self, distribution):
        from . import _fallback

        return _fallback.entry_points(distribution)

    def top_level(self, table, row, strict):
        if self._rule is None:
            self._rule = rule_of(None)
        return from_table(self._rule, table, row, strict)

    def provided(self, distribution):
        import importlib.metadata

        names = from_disk(importlib.metadata, distribution)
        return names, distribution.metadata["Name"] if names else None


FLAVOUR = _Ours()
