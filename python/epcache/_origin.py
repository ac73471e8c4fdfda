"""The distribution that an entry point came from, for `EntryPoint.dist`.

Only its row is known until somebody asks, since the table of distributions is not read for the
answer. By then the index has been closed, and may have been replaced.
"""

import posix

from ._index import Unusable


def distribution(index, row):
    """The distribution of a row, while the index is open or its table has been read."""
    if row not in index.distributions:
        import pathlib

        from ._fallback import Distribution

        path = pathlib.Path(index.site_directory, index.directory(row))
        index.distributions[row] = Distribution(path)
    return index.distributions[row]


def distribution_of(index, row, entry_point):
    """The same at any time; None if it is not installed any more."""
    try:
        return distribution(index, row)
    except Unusable:
        pass  # closed
    if _read_table_again(index):
        return distribution(index, row)
    return _search(index.site_directory, entry_point)


def _read_table_again(index):
    from ._discovery import open_index

    again = None
    try:
        again = open_index(index.path, index.site_directory)
        if again is None or again.identity != index.identity:
            return False
        again.read_header()
        index.take_table(again)
        return True
    except Unusable:
        return False
    finally:
        if again is not None:
            again.close()


def _search(site, entry_point):
    """By what it says, since the index has been replaced."""
    from . import _fallback

    try:
        names = posix.listdir(site)
    except OSError:
        return None
    for found in _fallback.in_directory(site, names):
        try:
            if entry_point in found.entry_points:
                return found
        except (TypeError, ValueError):
            continue  # malformed, so not where this came from
    return None
