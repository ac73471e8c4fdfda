"""Distributions that answer from an index what it has, and from the disk what it has not.

They are made of the class that `importlib.metadata` would have made, so that everything else about
them, `metadata`, `files`, `read_text`, `locate_file`, is that class's own.
"""

import pathlib

from . import Unusable
from ._table import METADATA


def indexed(base, flavour):
    """The class for distributions of a `View` that otherwise are of the class `base`."""

    class Indexed(base):
        def __new__(cls, *arguments):
            # What others do here (3.12 looks for methods that are missing) takes longer than the rest.
            return object.__new__(cls)

        def __init__(self, view, item):
            self._view = view
            self._item = item

        @property
        def _path(self):
            attributes = self.__dict__
            if "_located" not in attributes:
                attributes["_located"] = pathlib.Path(self._view.entry, self._view.names[self._item])
            return attributes["_located"]

        def _from_index(self, what):
            try:
                row = self._view.row(self._item, METADATA)
                return None if row is None else getattr(self._view.table, what)(row)
            except Unusable:
                return None

        @property
        def version(self):
            found = self._from_index("version")
            return base.version.fget(self) if found is None else found

        # An attribute of the class, lest each instance need a dictionary only to look.
        _entry_points = None

        @property
        def entry_points(self):
            found = self._entry_points
            if found is None:
                view, item = self._view, self._item
                try:
                    row = flavour.row_of_entry_points(view, item)
                    found = None if row is None else view.table.entry_points(row)
                except Unusable:
                    found = None
                if found is None:
                    return base.entry_points.fget(self)
                if found:
                    found = flavour.made(view, item, found)
                self._entry_points = found
            return flavour.entry_points_type(found)

        def __reduce__(self):
            return base, (self._path,)

    if hasattr(base, "name"):

        def name(self):
            found = self._from_index("name")
            return base.name.fget(self) if found is None else found

        Indexed.name = property(name)

    if hasattr(base, "_normalized_name"):

        def normalized_name(self):
            try:
                return self._view.key(self._item, flavour)
            except Unusable:
                return base._normalized_name.fget(self)

        Indexed._normalized_name = property(normalized_name)

    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Indexed, attribute, getattr(base, attribute))
    return Indexed
