"""Confirms what an index of an untrusted user says.

The index of the system belongs to the user `epcache`. An attacker who has taken over that user must
not choose what code others load. So before a value is used, it has to be found in the distribution's
own ``entry_points.txt``. Names and groups are not confirmed.
"""

import posix

from ._limits import ENTRY_POINTS_SIZE
from ._names import is_distribution
from ._parse import parse
from ._view import view_of


class TamperedIndexError(RuntimeError):
    """An index names an object that the distribution itself does not name."""


def confirm(index, row, name, value, group):
    """The value of an entry point that the index has in that row, if its distribution has it, too.

    Where the distribution has changed since, as while a package manager works, it is the distribution's
    value. Otherwise `TamperedIndexError` is raised.
    """
    view = view_of(index)
    confirmed = index.__dict__.setdefault("confirmed", {})
    if view is None:
        # The row is unknown, since the index has been replaced or is damaged. Any distribution in this
        # directory may declare the value.
        row = None
        if row not in confirmed:
            confirmed[row] = _all_in(index.site_directory)
    elif row not in confirmed:
        confirmed[row] = _read(f"{view.entry}/{view.names[view.rows.index(row)]}/entry_points.txt")
    if (name, value, group) in confirmed[row]:
        return value
    if view is None or view.has_changed(row):
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
    """The entry points of all distributions in a site directory."""
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
    # A dictionary keeps their order.
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOFOLLOW)
    except OSError:
        return {}
    try:
        with open(descriptor, encoding="utf-8") as file:
            text = file.read(ENTRY_POINTS_SIZE + 1)
        return dict.fromkeys(parse(text))
    except (OSError, ValueError, TypeError):
        return {}


def unconfirmed(entry_point, are_tuples):
    """For an index of an untrusted user: what makes the entry points of a distribution.

    Their values are confirmed before they are used; where they are tuples, as they are made.
    """
    if are_tuples:

        def at_once(index, row):
            def make(name, value, group):
                return entry_point(name, confirm(index, row, name, value, group), group)

            return make

        return at_once

    class Unconfirmed(entry_point):
        @property
        def value(self):
            attributes = self.__dict__
            if "_origin" in attributes:
                attributes["value"] = confirm(
                    *attributes["_origin"], self.name, attributes["value"], self.group
                )
                del attributes["_origin"]
            return attributes["value"]

        def __reduce__(self):
            attributes = {"name": self.name, "value": self.value, "group": self.group, "dist": self.dist}
            return _restored, (entry_point, attributes)

    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Unconfirmed, attribute, getattr(entry_point, attribute))

    def later(index, row):
        def make(name, value, group):
            made = Unconfirmed(name, value, group)
            made.__dict__["_origin"] = index, row
            return made

        return make

    return later


def _restored(entry_point, attributes):
    made = entry_point(attributes["name"], attributes["value"], attributes["group"])
    return made._for(attributes["dist"])
