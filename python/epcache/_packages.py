"""`packages_distributions()`: which distributions provide each importable name.

How a distribution's names are found is one of the rules of `_releases`.
"""

from . import _discovery
from ._releases import ALL, NONE, PYTHON
from ._table import METADATA, TOP_LEVEL


def packages(backend):
    """The names of the distributions by the importable names that they provide."""
    return _discovery.answered(backend, lambda scan: _packages(backend, scan))[1]


def _packages(backend, scan):
    found = {}
    for view, other in _discovery.sources(backend, scan):
        if view is None:
            pairs = [_from_disk(backend, distribution) for distribution in other]
        else:
            pairs = _pairs(view, other, scan.strict)
        for packages, name in pairs:
            for package in packages:
                found.setdefault(package, []).append(name)
    return found


def _pairs(view, backend, strict):
    """For each distribution the importable names that it provides, and its own."""
    kept = ("packages", backend)
    if kept not in view.cache:
        pairs = []
        cacheable = view.cacheable
        for item in backend.order(view):
            row = view.row(item, TOP_LEVEL)
            names = None if row is None else _from_table(backend.release.top_level, view.table, row, strict)
            name = None
            if names:
                named = view.row(item, METADATA)
                name = None if named is None else view.table.name(named)
            if names is None or (names and name is None):
                cacheable = False
                names, name = _from_disk(backend, backend.distribution(view, item))
            pairs.append((names, name))
        if not cacheable:
            return pairs
        view.cache[kept] = pairs
    return view.cache[kept]


def _from_table(rule, table, row, strict):
    """The importable names according to an index; None if the disk has to be read.

    In strict mode, what was inferred from a list of files is inferred again: removing a module leaves
    no trace in the metadata.
    """
    _, _, kind, names, python_names = table.top_level(row)
    if kind == "opaque":
        return None
    if kind == "declared":
        return names
    if rule == NONE or kind == "none":
        return ()
    if strict:
        return None
    if rule == PYTHON:
        return python_names
    return _inferred(names, rule)


def _from_disk(backend, distribution):
    """The names that a distribution of any kind provides, and its own name."""
    names = (distribution.read_text("top_level.txt") or "").split()
    if not names:
        inferred = getattr(backend.module, "_top_level_inferred", None)  # from 3.11 on
        names = list(inferred(distribution)) if inferred is not None else ()
    return names, distribution.metadata["Name"] if names else None


def _inferred(tokens, rule):
    """The names that directories (with a slash at the end) and files by themselves provide."""
    found = set()
    for token in tokens:
        if token.endswith("/"):
            name = token[:-1]
        else:
            name = _module_name(token)
            if rule == ALL:
                name = name or token
        if name is not None and "." not in name:
            found.add(name)
    return found


def _module_name(file_name):
    # As `inspect.getmodulename`, whose import takes long.
    for suffix in _suffixes():
        if file_name.endswith(suffix):
            return file_name[: -len(suffix)]
    return None


_known_suffixes = None


def _suffixes():
    global _known_suffixes
    if _known_suffixes is None:
        from importlib.machinery import all_suffixes

        _known_suffixes = sorted(all_suffixes(), key=len, reverse=True)
    return _known_suffixes
