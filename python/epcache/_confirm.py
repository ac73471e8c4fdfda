"""Confirming what an index says, where its owner could not have put it into the distribution itself.

The index of the system belongs to the user `epcache`. Whoever has taken over that user must not
thereby choose what code others load: so before a value is used, it has to be found in the
distribution's own ``entry_points.txt``. Names and groups are free.
"""

import posix

from ._names import is_distribution
from ._origin import view_of
from ._parse import parse

_MOST = 1 << 20  # bytes; the index describes no larger file


class TamperedIndexError(RuntimeError):
    """An index names an object that the distribution itself does not name."""


def confirm(index, row, name, value, group):
    """The value of an entry point that the distribution of that row has; `TamperedIndexError` if it has
    none that the index could mean.

    Where the distribution has changed since, as in the middle of a package manager's work, that is its
    own value.
    """
    view = view_of(index)
    confirmed = index.__dict__.setdefault("confirmed", {})
    if view is None:
        # The index has been replaced or is damaged, and can't tell any more whose this is. That somebody
        # has it whom the same directory is trusted for is as good.
        row = None
        if row not in confirmed:
            confirmed[row] = _all_in(index.site_directory)
    elif row not in confirmed:
        confirmed[row] = _read(f"{view.entry}/{view.names[view.rows.index(row)]}/entry_points.txt")
    if (name, value, group) in confirmed[row]:
        return value
    if view is None or view.has_moved(row):
        for own_name, own_value, own_group in confirmed[row]:
            if (own_name, own_group) == (name, group):
                return own_value
    from shlex import quote

    raise TamperedIndexError(
        f"{index.path}: {name!r} of the group {group!r} is said to be {value!r}, which its "
        f"distribution does not confirm\n"
        f"hint: epcache refresh --full {quote(index.site_directory)}"
    )


def _all_in(site):
    """What all the distributions in a site directory have."""
    try:
        names = posix.listdir(site)
    except OSError:
        return {}
    found = {}
    for name in names:
        if is_distribution(name):
            found.update(_read(f"{site}/{name}/entry_points.txt"))
    return found


def _read(path):
    # As the keys of a dictionary, which keeps their order.
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOFOLLOW)
    except OSError:
        return {}
    try:
        with open(descriptor, encoding="utf-8") as file:
            text = file.read(_MOST + 1)
        return dict.fromkeys(parse(text))
    except (OSError, ValueError, TypeError):
        return {}
