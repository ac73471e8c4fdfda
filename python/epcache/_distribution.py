"""Distributions that answer from an index where it has the answer, and from the disk otherwise.

Their class is a subclass of the class that the module itself would use. So `files`, `read_text` and everything
else about them is that class's own.
"""

import functools
import pathlib
import posix

from . import Unusable
from ._table import METADATA


def disguised(kind, base):
    """Give a subclass of `base` the names, the module and the docstring of `base`, and return it."""
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(kind, attribute, getattr(base, attribute))
    return kind


def indexed(base, backend):
    """A subclass of `base` for distributions of a `View`."""

    parsed, read_text = base.metadata, base.read_text

    class Indexed(base):
        def __new__(cls, *arguments):
            # 3.12 looks for missing methods here, which takes longer than the rest.
            return object.__new__(cls)

        def __init__(self, view, item):
            self._view = view
            self._item = item

        @functools.cached_property
        def _path(self):
            return pathlib.Path(self._view.entry, self._view.names[self._item])

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

        @property
        def metadata(self):
            view, row = self._view, None
            # Where somebody has replaced how metadata is read, that has to run.
            if not view.index.untrusted and base.metadata is parsed and base.read_text is read_text:
                try:
                    row = view.row_now(self._item)
                    # One that has no name may have no metadata, either.
                    if row is not None and view.table.name(row) is None:
                        row = None
                except Unusable:
                    row = None
            return self._read_metadata() if row is None else backend.message(self, row)

        def _read_metadata(self):
            return super().metadata

        # In the class, so that looking for it makes no dictionary of an instance.
        _entry_points = None

        @property
        def entry_points(self):
            found = self._entry_points
            if found is None:
                view, item = self._view, self._item
                try:
                    row = backend.row_of_entry_points(view, item)
                    found = None if row is None else view.table.entry_points(row)
                except Unusable:
                    found = None
                if found is None or found and view.index.untrusted:
                    return base.entry_points.fget(self)
                if found:
                    found = backend.made(view, item, found)
                self._entry_points = found
            return backend.entry_points_type(found)

        def read_text(self, filename):
            # The error that opening a missing file raises takes longer. pip looks for one in nearly all distributions.
            is_plain = type(filename) is str and "/" not in filename and filename.strip(".")
            if is_plain and base.read_text is read_text:
                try:
                    posix.stat(f"{self._path!s}/{filename}")
                except (FileNotFoundError, NotADirectoryError):
                    return None
                except (OSError, ValueError):
                    pass
            return base.read_text(self, filename)

        def __reduce__(self):
            return base, (self._path,)

    if hasattr(base, "name"):  # from 3.10 on

        def name(self):
            found = self._from_index("name")
            return base.name.fget(self) if found is None else found

        Indexed.name = property(name)

    if hasattr(base, "_normalized_name"):  # from 3.10 on

        def normalized_name(self):
            try:
                return self._view.key(self._item) or base._normalized_name.fget(self)
            except Unusable:
                return base._normalized_name.fget(self)

        Indexed._normalized_name = property(normalized_name)

    return disguised(Indexed, base)
