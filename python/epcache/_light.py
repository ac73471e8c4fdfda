"""The package's own `entry_points` and `version`: the semantics of CPython 3.12 on every version.

`importlib.metadata` is imported only for what no index can answer: zip files, eggs, other finders, and
metadata that has to be parsed.
"""

from . import EntryPoint, _discovery, searches_sys_path
from ._names import has_stem, normalized, stem
from ._table import ENTRY_POINTS, METADATA


def entry_points_of(group, name, begun):
    """The entry points of a group, of all groups if it is None, as a list that is not to be changed.

    With a name, those of other names may be left out. `begun` has what there is of a scan.
    """
    return _discovery.entry_points(LIGHT, group, name, begun)


def version_of(distribution_name, begun):
    """The version of a distribution, as its metadata has it. `begun` has what there is of a scan."""
    if not distribution_name:
        raise ValueError("A distribution name is required.")
    if not isinstance(distribution_name, str):
        raise TypeError(f"a distribution name is a string, not {distribution_name!r}")
    found = _discovery.answered(LIGHT, lambda scan: list(_versions(scan, distribution_name)), begun)[1]
    if not found:
        from importlib.metadata import PackageNotFoundError

        raise PackageNotFoundError(distribution_name)
    return found[0]


def _versions(scan, name):
    """The version of the first distribution of that name, if there is one."""
    for view, other in _discovery.sources(LIGHT, scan, name):
        if view is None:
            for distribution in other:
                yield distribution.version
                return
            continue
        for item in view.named(name):
            row = view.row(item, METADATA)
            found = None if row is None else view.table.version(row)
            yield distribution_in(view, item).version if found is None else found
            return


def distribution_in(view, item):
    """The `importlib.metadata.Distribution` in that place of a `View`."""
    from ._backend import distribution_in

    return distribution_in(view, item)


class Light:
    """Answers as this package's own objects; `_backend.Backend` is the other kind."""

    unique = True
    has_metadata = None

    def of(self, finder):
        """The backend for a finder that searches `sys.path`; None for any other."""
        return self if searches_sys_path(finder) else None

    def takes(self, view):
        """Whether a `View` can be answered from; otherwise the path entry is searched anew."""
        return True

    def warn(self, warnings):
        """Report what is wrong with indexes."""
        if warnings:
            from ._warning import warn

            warn(warnings)

    def order(self, view):
        """The places of all distributions, in their order."""
        return view.grouped()

    def row_of_entry_points(self, view, item):
        """The row of the index that has the entry points of a distribution; None: read the disk."""
        row = view.rows[item]
        if row is None or row in view.index.opaque:
            return None
        return view.row(item, ENTRY_POINTS)

    def made(self, view, item, records):
        """Entry points of records (group, name, value) of the index."""
        index = view.index
        index.view = view
        row = view.rows[item]
        return [EntryPoint._of(name, value, group, index, row) for group, name, value in records]

    def read(self, view, item, group):
        """The entry points of a group, of all groups if it is None, from the disk."""
        from ._parse import entry_points_text, parse

        text = entry_points_text(f"{view.entry or '.'}/{view.names[item]}/entry_points.txt")
        return [EntryPoint(*fields)._at(view, item) for fields in parse(text) if group in (None, fields[2])]

    def own_key(self, view, item):
        """What two distributions are compared by, where neither directory nor index has a name."""
        return _normalized(distribution_in(view, item).metadata["Name"])

    def of_path_entry(self, entry, name):
        """Distributions in a zip file or an egg, all or those of one name."""
        from importlib.metadata import MetadataPathFinder

        return MetadataPathFinder.find_distributions(_context(name=name, path=[entry]))

    def of_finder(self, find_distributions, name):
        """Distributions of another finder, all or those of one name."""
        return find_distributions(_context(name=name))

    def key(self, distribution):
        """What two distributions are compared by."""
        if hasattr(type(distribution), "_normalized_name"):
            return distribution._normalized_name
        # 3.9 has none.
        directory = str(getattr(distribution, "_path", "")).rpartition("/")[2]
        return (has_stem(directory) and stem(directory)) or _normalized(distribution.metadata["Name"])

    def entry_points(self, distribution):
        """The entry points of a distribution of any kind."""
        from importlib.metadata import Distribution

        from ._parse import parse

        if type(distribution).entry_points is Distribution.entry_points:
            found = parse(distribution.read_text("entry_points.txt") or "")
        else:
            found = [(ep.name, ep.value, ep.group) for ep in distribution.entry_points]
        return [EntryPoint(*fields)._for(distribution) for fields in found]


def _normalized(name):
    if not isinstance(name, str):
        raise TypeError(f"a distribution without a name: {name!r}")
    return normalized(name)


def _context(**arguments):
    from importlib.metadata import DistributionFinder

    return DistributionFinder.Context(**arguments)


LIGHT = Light()
