"""The distribution that an entry point came from, for `EntryPoint.dist`.

Only its row is known until somebody asks, since the table of distributions is not read for the
answer. By then the index file may have been replaced.
"""

import posix

from . import Unusable
from ._view import View


def view_of(index):
    """The `View` of which an answer was part; None if its index file is not there any more."""
    if not hasattr(index, "view"):
        try:
            if not index.take_whole():
                return None
            index.view = View.indexed(index.site_directory, index)
        except Unusable:
            return None
    return index.view


def distribution_of(entry_point):
    """The distribution; None if it is not installed any more."""
    from ._ours import FLAVOUR

    index = entry_point._index
    if isinstance(index, View):
        return FLAVOUR.distribution(index, entry_point._row)
    view = view_of(index)
    if view is None:
        return _search(index.site_directory, entry_point)
    return FLAVOUR.distribution(view, view.rows.index(entry_point._row))


def _search(site, entry_point):
    """By what it says, since the index has been replaced."""
    from ._ours import FLAVOUR

    try:
        view = View.listed(site, posix.listdir(site))
    except OSError:
        return None
    for item in view.grouped():
        found = FLAVOUR.distribution(view, item)
        try:
            if entry_point in found.entry_points:
                return found
        except (TypeError, ValueError):
            continue  # malformed, so not where this came from
    return None
