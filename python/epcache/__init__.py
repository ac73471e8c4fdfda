"""Entry points of installed distributions, from an index where that is provably right.

``entry_points()`` answers as ``importlib.metadata.entry_points()`` of CPython 3.12 does, on every
version from 3.9 on. Where a site directory has an index (``epcache refresh``) that describes what
is on disk now, the answer comes from it and costs one small read; where the index is stale or
damaged, a ``StaleIndexWarning`` says so once and the directory itself is read, as it is where
there is no index.

Importing this package, and answering from a fresh index, import nothing that a bare interpreter
does not already have: most of what ``importlib.metadata`` costs is its own import.
"""

from ._discovery import collect
from ._entry_points import EntryPoint, EntryPoints

__all__ = ["EntryPoint", "EntryPoints", "StaleIndexWarning", "entry_points"]


def entry_points(**params):
    """Return the entry points of everything installed, as an `EntryPoints`.

    Keyword arguments select, as for `EntryPoints.select`: usually ``group`` and ``name``; each is
    compared for equality with the attribute of that name.

    Of several distributions with the same normalized name only the first on ``sys.path`` counts,
    even if it has no entry points. What a distribution's ``entry_points.txt`` makes
    ``importlib.metadata`` raise, this raises too.
    """
    troubles = []
    try:
        # With these parameters alone, what is compared are strings: an entry point outside the
        # group can neither match nor raise. Any other parameter goes through all entry points,
        # in the order in which CPython would compare them.
        group = params.get("group")
        if type(group) is str and params.keys() <= {"group", "name", "value"}:
            found = collect(group, troubles)
            del params["group"]
        else:
            found = collect(None, troubles)
    finally:
        if troubles:
            from ._warning import tell

            tell(troubles)
    return EntryPoints(found).select(**params)


def __getattr__(name):
    # Needed only when there is something to warn about, or to catch.
    if name == "StaleIndexWarning":
        from ._warning import StaleIndexWarning

        return StaleIndexWarning
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
