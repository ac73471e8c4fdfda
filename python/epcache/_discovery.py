"""Finds what is installed: the walk over `sys.meta_path` and `sys.path`, as `importlib.metadata` does it.

The walk visits every finder that knows distributions, in order, and for one that searches `sys.path` every
path entry, in order. A path entry with an index is answered from it as far as it is proven right, any other from the
disk. The *backend* makes the answer: `_light.Light` for this package's own functions,
`_backend.Backend` for `importlib.metadata` and `importlib_metadata`.
"""

import sys

from . import Unusable
from ._scan import OTHER, FullScan, modes
from ._table import METADATA
from ._view import View

_known = {}


def answered(backend, answer, begun=()):
    """The scan of `sys.path` as it is now, and what `answer(scan)` makes of it.

    An index file that turns out to be damaged is left out, and the answer is begun again. `begun` may have a scan of
    this moment, which is continued.
    """
    unusable = set()
    begun = list(begun)
    while True:
        scan = FullScan(sys.path, unusable, begun.pop() if begun else None)
        try:
            return scan, answer(scan)
        except Unusable as damaged:
            unusable.add(damaged.path)
            text = f"the index {damaged.path} {damaged}; the directory is read instead"
            scan.warnings.append((damaged.site, text))
        except MemoryError:
            if not scan.indexes:
                raise
            unusable.update(index.path for index in scan.indexes)
        finally:
            backend.warn(scan.all_warnings())


def sources(backend, scan, name=None):
    """All that holds distributions, in order: pairs of a `View` and its backend, or of None and an
    iterable of distributions. With a name, such an iterable has those of that name alone."""
    for finder in sys.meta_path:
        find_distributions = getattr(finder, "find_distributions", None)
        if find_distributions is None:
            continue
        its_backend = backend.of(finder)
        if its_backend is None:
            scan.cacheable = False
            yield None, backend.of_finder(find_distributions, name)
        else:
            yield from of_path(its_backend, scan, name)


def of_path(backend, scan, name=None):
    """The same for the path entries alone."""
    for entry, source in scan.sources:
        if isinstance(source, View) and backend.takes(source):
            yield source, backend
        else:
            scan.cacheable = False
            yield None, backend.of_path_entry(entry if source is OTHER else source.entry, name)


def entry_points(backend, group, name=None, begun=()):
    """The entry points of a group, of all groups if it is None, as a list that is not to be changed.

    With a name, those of other names may be left out. For `begun` see `answered`.
    Answers from indexes alone are remembered for as long as nothing on the path changes.
    """
    key = backend, modes()
    known = _known.get(key)
    if known is not None and known.cacheable and known.holds() and group in known.answers:
        return known.answers[group]

    def answer(scan):
        if known is not None and scan.plain and scan.indexes == known.indexes:
            if scan.finders == known.finders:
                scan.answers = known.answers
        if group in scan.answers:
            return scan.answers[group], True
        return _collect(backend, group, name, scan)

    scan, (found, from_indexes) = answered(backend, answer, begun)
    if from_indexes and scan.plain:
        scan.answers[group] = found
        _known[key] = scan
    return found


def _collect(backend, group, name, scan):
    """The entry points, and whether they are from indexes alone."""
    found = []
    cacheable = True
    taken = set() if backend.unique else None
    later = []

    def add(distribution):
        if taken is not None:
            key = backend.key(distribution)
            if key in taken:
                return
            taken.add(key)
        found.extend([ep for ep in backend.entry_points(distribution) if group in (None, ep.group)])

    everything = list(sources(backend, scan))
    for view, other in everything:
        if view is not None:
            view.prove_entry_points()
            waiting = [] if backend.has_metadata is None else _without_metadata(view, other, backend)
            # Alone, and without two of one name, nothing has to be compared.
            alone = len(everything) == 1 and not waiting and view.has_own_keys()
            used = _of_view(view, other, group, name, None if alone else taken, found, waiting)
            cacheable = used and cacheable
            later += [other.distribution(view, item) for item in waiting]
            continue
        cacheable = False  # no stamp shows when a finder would find something else
        for distribution in other:
            if backend.has_metadata is None or backend.has_metadata(distribution):
                add(distribution)
            else:
                later.append(distribution)
    for distribution in later:
        add(distribution)
    return found, cacheable and not later


def _without_metadata(view, backend, asked):
    """The places of the distributions that have no metadata, by the rule of the backend `asked`."""

    def has_name(item):
        row = view.row(item, METADATA)
        return row is not None and view.table.name(row) is not None

    return [
        item
        for item in backend.order(view)
        if not has_name(item) and not asked.has_metadata(backend.distribution(view, item))
    ]


def _of_view(view, backend, group, name, taken, found, waiting):
    """Add the entry points of a view to `found`, but for some; True if the same will be right later."""
    by_row = {}
    waiting = frozenset(waiting)
    if view.index is not None:
        for row, _, *fields in view.index.records(group):
            by_row.setdefault(row, []).append(tuple(fields))
    cacheable = True
    for item in backend.order(view):
        if item in waiting:
            continue
        if taken is not None:
            key = view.key(item) or backend.own_key(view, item)
            if key in taken:
                continue
            taken.add(key)
        row = backend.row_of_entry_points(view, item)
        if row is None:
            cacheable = False
            found += backend.read(view, item, group)
        elif row not in by_row:
            continue
        elif not view.index.untrusted:
            found += backend.made(view, item, by_row[row])
        elif name is None or any(key == name for _, key, _ in by_row[row]):
            # The index only says where to look.
            declared = backend.read(view, item, group)
            view.compare(item, [(ep.group, ep.name, ep.value) for ep in declared], by_row[row])
            found += declared
        else:
            cacheable = False
    return cacheable


def find(backend, context):
    """The distributions that a `DistributionFinder.Context` asks for, one by one."""
    name = context.name or None
    if not (name is None or isinstance(name, str)):
        yield from backend.find_distributions(context)
        return
    scan = FullScan(context.path)
    backend.warn(scan.warnings)
    for view, other in of_path(backend, scan, name):
        if view is None:
            yield from other
        elif name is None:
            yield from backend.all(view)
        else:
            for item in backend.named(view, name):
                yield backend.distribution(view, item)


def version(backend, name, begun=()):
    """A tuple with the version of the first distribution of that name, empty if there is none; None if only the
    module's own function can say. For `begun` see `answered`."""
    return answered(backend, lambda scan: _version(backend, name, scan), begun)[1]


def _version(backend, name, scan):
    for view, other in sources(backend, scan, name):
        if view is None:
            return None
        for item in other.named(view, name):
            row = view.row(item, METADATA)
            found = None if row is None else view.table.version(row)
            if found is None:
                try:
                    found = other.distribution(view, item).version
                except Exception:
                    # The module's own function may prefer another distribution. Otherwise it raises the same.
                    return None
            return None if found is None else (found,)
    return ()
