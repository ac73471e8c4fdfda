"""The distribution that an entry point came from, for `EntryPoint.dist`.

Only its row is known until somebody asks, since the table of distributions is not read for the
answer. By then the index file may have been replaced.
"""

import posix

from ._light import LIGHT, distribution_in
from ._view import View, view_of


def distribution_of(entry_point):
    """The distribution; None if it is not installed any more."""
    index = entry_point._index
    if isinstance(index, View):
        return distribution_in(index, entry_point._row)
    view = view_of(index)
    if view is None:
        return _search(index.site_directory, entry_point)
    return distribution_in(view, view.rows.index(entry_point._row))


def _search(site, entry_point):
    """The first distribution that has such an entry point; the index that had the row is gone."""
    try:
        view = View.listed(site, posix.listdir(site))
    except OSError:
        return None
    for item in view.grouped():
        try:
            if entry_point in LIGHT.read(view, item, entry_point.group):
                return distribution_in(view, item)
        except (TypeError, ValueError):
            continue  # malformed, so not where this came from
    return None
