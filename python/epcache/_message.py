"""The metadata of a distribution, as a message that reads its file when that is first needed.

Most programs ask the metadata of each distribution for the name and the version alone; pip asks for the requirements,
too. The index has these. So the message has a class of its own, which answers such questions from the index. At the
first question for anything else it takes over the content and the class of the message that `importlib.metadata` makes.
"""

import sys

from . import Unusable
from ._distribution import disguised

_SOURCE = "_epcache_source"  # the attribute that holds a distribution and its row, until the file is read


def deferred(base):
    """Return a function that makes such a message, a subclass of `base`, from a distribution and its row."""
    # What `base` calls where a header is missing. It warns about the line of its caller's caller.
    warn = getattr(sys.modules[base.__module__], "_warn", None)

    def read(message):
        """Read the file, and make this a message of the class `base`."""
        attributes = object.__getattribute__(message, "__dict__")
        source = attributes.get(_SOURCE)
        if source is None:
            return
        # Attributes that another thread has set meanwhile remain: a program may have changed them.
        for name, value in vars(source[0]._read_metadata()).items():
            attributes.setdefault(name, value)
        # By one thread alone: CPython before 3.12 counts the class twice if two change it during an audit hook.
        if attributes.pop(_SOURCE, None) is not None:
            object.__setattr__(message, "__class__", base)

    class Deferred(base):
        __slots__ = ()

        def __new__(cls, *arguments, **named):
            return base(*arguments, **named)

        def __getitem__(self, name):
            found = Deferred.get(self, name)
            if found is None:
                if warn is None:
                    return base.__getitem__(self, name)
                warn()
            return found

        def get(self, name, failobj=None):
            values = _values(self, name)
            if values is None:
                read(self)
                return base.get(self, name, failobj)
            return values[0] if values else failobj

        def get_all(self, name, failobj=None):
            values = _values(self, name, every=True)
            if values is None:
                read(self)
                return base.get_all(self, name, failobj)
            return values or failobj

        def __contains__(self, name):
            values = _values(self, name)
            if values is None:
                read(self)
                return base.__contains__(self, name)
            return bool(values)

        def __bool__(self):
            # A message with a name has headers. Otherwise their number decides.
            if _values(self, "name") is not None:
                return True
            read(self)
            return len(self) > 0

        def __getattribute__(self, name):
            if name in ("get", "get_all"):
                return object.__getattribute__(self, name)
            if name == "__class__":
                return base
            read(self)
            return object.__getattribute__(self, name)

        def __setattr__(self, name, value):
            read(self)
            object.__setattr__(self, name, value)

        def __delattr__(self, name):
            read(self)
            object.__delattr__(self, name)

    disguised(Deferred, base)

    def message_of(distribution, row):
        message = object.__new__(Deferred)
        object.__setattr__(message, _SOURCE, (distribution, row))
        return message

    return message_of


def _values(message, name, every=False):
    """The values of a header, at least the first or `every` one; None where the file has to be read."""
    source = object.__getattribute__(message, "__dict__").get(_SOURCE)
    if source is None or type(name) is not str:
        return None
    distribution, row = source
    table = distribution._view.table
    name = name.lower()
    try:
        if name not in ("name", "version"):
            found = (table.requirements(row) or {}).get(name)
            return None if found is None else list(found)
        # The index has the first value alone.
        value = None if every else getattr(table, name)(row)
    except Unusable:
        return None
    return None if value is None else [value]
