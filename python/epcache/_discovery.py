"""What is installed: the walk over `sys.meta_path` and `sys.path`, as `importlib.metadata` does it.

Every finder that knows distributions, in order; for the standard one every path entry, in order. A
path entry with an index is answered from it as far as it is proven right, any other from the disk.
In what form it is answered is a matter of the *flavour*: `_ours` for the functions of this package,
`_native` for those of `importlib.metadata` and `importlib_metadata`.
"""

import sys

from . import Path, Unusable
from ._path import OTHER, Look, modes
from ._table import METADATA
from ._view import TOP_LEVEL, View

_known = {}


def answered(flavour, answer):
    """What `answer(look)` makes of `sys.path` as it is now.

    What the index files can't answer because they turn out to be damaged is answered without them.
    """
    unusable = set()
    while True:
        look = Look(sys.path, unusable)
        try:
            return look, answer(look)
        except Unusable as damaged:
            # Seen only when part of the answer was given: begin again without that file.
            unusable.add(damaged.path)
            text = f"the index {damaged.path} {damaged}; the directory is read instead"
            look.troubles.append((damaged.site, text))
        finally:
            flavour.tell(look.all_troubles())


def sources(flavour, look):
    """All that holds distributions, in order: pairs of a `View` and None, or of None and distributions
    as some finder makes them."""
    searched = False
    for finder in sys.meta_path:
        find_distributions = getattr(finder, "find_distributions", None)
        if find_distributions is None:
            continue
        its_flavour = flavour.of(finder)
        if its_flavour is None:
            look.lasting = False
            yield None, flavour.of_finder(find_distributions)
        elif not searched or not flavour.once:
            searched = True
            yield from of_path(its_flavour, look)


def of_path(flavour, look, name=None):
    """The same for the path entries alone; what is not a `View` only as far as it has that name."""
    for entry, source in look.sources:
        if isinstance(source, View) and flavour.takes(source):
            yield source, flavour
        else:
            look.lasting = False
            yield None, flavour.of_path_entry(entry if source is OTHER else source.entry, name)


def entry_points(flavour, group):
    """The entry points of a group, or of all if it is None, as a list that is not to be changed.

    Answers from indexes alone are remembered for as long as nothing on the path changes.
    """
    key = flavour, modes()
    known = _known.get(key)
    if known is not None and known.lasting and known.holds() and group in known.answers:
        return known.answers[group]

    def answer(look):
        same = known is not None and look.plain and look.indexes == known.indexes
        if same and sys.meta_path == known.finders and group in known.answers:
            return known.answers[group], True
        return _collect(flavour, group, look)

    look, (found, from_indexes) = answered(flavour, answer)
    if from_indexes and look.plain:
        path = Path()
        path.entries, path.stamps, path.indexes, path.lasting = (
            look.entries,
            look.stamps,
            look.indexes,
            look.lasting,
        )
        if known is not None and known.indexes == path.indexes and known.finders == path.finders:
            path.answers = known.answers
        path.answers[group] = found
        _known[key] = path
    return found


def _collect(flavour, group, look):
    found = []
    lasting = True
    taken = set() if flavour.unique else None
    later = []

    def add(distribution):
        if taken is not None:
            key = flavour.key(distribution)
            if key in taken:
                return
            taken.add(key)
        found.extend([ep for ep in flavour.entry_points(distribution) if group in (None, ep.group)])

    everything = list(sources(flavour, look))
    for view, other in everything:
        if view is not None:
            view.prove_entry_points()
            waiting = [] if flavour.has_metadata is None else _without_metadata(view, other, flavour)
            # Where nothing else is, and no two are of one name, nothing needs to be told apart.
            alone = len(everything) == 1 and not waiting and view.has_own_keys()
            told_apart = None if alone else taken
            lasting = _of_view(view, other, group, told_apart, found, waiting) and lasting
            later += [other.distribution(view, item) for item in waiting]
            continue
        lasting = False  # nothing tells when a finder would find something else
        for distribution in other:
            if flavour.has_metadata is None or flavour.has_metadata(distribution):
                add(distribution)
            else:
                later.append(distribution)
    for distribution in later:
        add(distribution)
    return found, lasting and not later


def _without_metadata(view, flavour, asked):
    """The places of the distributions that have no metadata, as the module that is asked sees it."""

    def seen(item):
        row = view.row(item, METADATA)
        return row is not None and view.table.name(row) is not None

    return [
        item
        for item in flavour.order(view)
        if not seen(item) and not asked.has_metadata(flavour.distribution(view, item))
    ]


def _of_view(view, flavour, group, taken, found, waiting):
    """Add the entry points of a view, but for some; says whether they are from the index alone."""
    by_row = {}
    waiting = frozenset(waiting)
    if view.index is not None:
        for row, _, its_group, name, value in view.index.records(group):
            by_row.setdefault(row, []).append((its_group, name, value))
    lasting = True
    for item in flavour.order(view):
        if item in waiting:
            continue
        if taken is not None:
            key = view.key(item, flavour)
            if key in taken:
                continue
            taken.add(key)
        row = flavour.row_of_entry_points(view, item)
        if row is not None:
            if row in by_row:
                found += flavour.made(view, item, by_row[row])
            continue
        lasting = False
        found += flavour.read(view, item, group)
    return lasting


def find(flavour, name, path=None):
    """The distributions of that name on a path, of all names if it is None, one by one."""
    look = Look(sys.path if path is None else path)
    flavour.tell(look.troubles)
    for view, other in of_path(flavour, look, name):
        if view is None:
            yield from other
        elif name is None:
            yield from flavour.all(view)
        else:
            for item in flavour.named(view, name):
                yield flavour.distribution(view, item)


def version(flavour, name):
    """The version of the first distribution of that name, if an index has it; otherwise None."""
    return answered(flavour, lambda look: _version(flavour, name, look))[1]


def _version(flavour, name, look):
    for view, other in sources(flavour, look):
        if view is None:
            return None
        for item in other.named(view, name):
            row = view.row(item, METADATA)
            return None if row is None else view.table.version(row)
    return None


def packages(flavour):
    """The names of the distributions by the importable names that they provide."""
    return answered(flavour, lambda look: _packages(flavour, look))[1]


def _packages(flavour, look):
    found = {}
    for view, other in sources(flavour, look):
        pairs = map(flavour.provided, other) if view is None else _pairs(view, other, look.strict)
        for packages, name in pairs:
            for package in packages:
                found.setdefault(package, []).append(name)
    return found


def _pairs(view, flavour, strict):
    kept = ("packages", flavour)
    if kept not in view.made:
        pairs = []
        lasting = view.lasting
        for item in flavour.order(view):
            row = view.row(item, TOP_LEVEL)
            names = None if row is None else flavour.top_level(view.table, row, strict)
            name = None
            if names:
                named = view.row(item, METADATA)
                name = None if named is None else view.table.name(named)
            if names is None or (names and name is None):
                lasting = False
                names, name = flavour.provided(flavour.distribution(view, item))
            pairs.append((names, name))
        if not lasting:
            return pairs
        view.made[kept] = pairs
    return view.made[kept]
