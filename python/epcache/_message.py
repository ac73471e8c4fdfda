"""The metadata of a distribution, as a message that reads its file when that is first needed.

Most programs ask each distribution for its metadata, and that for the name and the version alone. The index
has these. So the message is of a class of its own, which answers from the index what that has. At the first
question for anything else it takes over the content of the message that `importlib.metadata` makes, and
becomes of that message's class itself.
"""

import sys

from . import Unusable

_SOURCE = "_epcache_source"  # the attribute that holds a distribution and its row, until the file is read


def deferred(base):
    """A function that makes such a message, otherwise of the class `base`, of a distribution and its row."""
    # What that calls where a header is missing. It warns about the line of its caller's caller.
    warn = getattr(sys.modules[base.__module__], "_warn", None)

    def read(message):
        """Make it a message of the class `base`."""
        attributes = object.__getattribute__(message, "__dict__")
        source = attributes.get(_SOURCE)
        if source is None:
            return
        # What another thread has put there meanwhile remains: a program may have changed it.
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
            found = _first(self, name)
            if found is None:
                read(self)
                found = base.get(self, name, failobj)
            return found

        def __contains__(self, name):
            if _first(self, name) is not None:
                return True
            read(self)
            return base.__contains__(self, name)

        def __bool__(self):
            # One with a name has headers. Any other is as long as they are.
            if _first(self, "name") is not None:
                return True
            read(self)
            return len(self) > 0

        def __getattribute__(self, name):
            if name == "get":
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

    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Deferred, attribute, getattr(base, attribute))

    def message_of(distribution, row):
        message = object.__new__(Deferred)
        object.__setattr__(message, _SOURCE, (distribution, row))
        return message

    return message_of


def _first(message, name):
    """The first value of a header; None where the file has to be read."""
    source = object.__getattribute__(message, "__dict__").get(_SOURCE)
    if source is None or type(name) is not str:
        return None
    distribution, row = source
    name = name.lower()
    if name not in ("name", "version"):
        return None
    try:
        return getattr(distribution._view.table, name)(row)
    except Unusable:
        return None
