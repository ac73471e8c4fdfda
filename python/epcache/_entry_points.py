"""What an entry point is: the types of CPython 3.12, without the imports.

Differences that a caller can notice: `EntryPoint.dist` is looked up when it is asked for, and the
tuple interface, deprecated in 3.12 and gone in 3.13, is not there.
"""

_pattern = None


def _match(value):
    # Compiled by `re`, on first use, because Python's `\w` is what CPython applies.
    global _pattern
    if _pattern is None:
        import re

        _pattern = re.compile(
            r"(?P<module>[\w.]+)\s*"
            r"(:\s*(?P<attr>[\w.]+)\s*)?"
            r"((?P<extras>\[.*\])\s*)?$"
        )
    return _pattern.match(value)


class EntryPoint:
    """A named object that a distribution offers to whoever asks for its group."""

    def __init__(self, name, value, group):
        self.__dict__.update(name=name, value=value, group=group)

    @classmethod
    def _of(cls, name, value, group, index, row):
        """An entry point whose distribution is looked up in the index if somebody asks."""
        self = cls.__new__(cls)
        attributes = self.__dict__
        attributes["name"] = name
        attributes["value"] = value
        attributes["group"] = group
        attributes["_index"] = index
        attributes["_row"] = row
        return self

    def _for(self, dist):
        self.__dict__["_dist"] = dist
        return self

    @property
    def dist(self):
        """The `importlib.metadata.Distribution` that declares this.

        None if this object was made by hand, or if the distribution has been removed since.
        """
        attributes = self.__dict__
        if "_dist" not in attributes:
            found = None
            if "_index" in attributes:
                from ._origin import distribution_of

                found = distribution_of(attributes["_index"], attributes["_row"], self)
            attributes["_dist"] = found
        return attributes["_dist"]

    @property
    def module(self):
        """The module that `load` imports."""
        return _match(self.value).group("module")

    @property
    def attr(self):
        """What `load` takes from the module, dotted; None for the module itself."""
        return _match(self.value).group("attr")

    @property
    def extras(self):
        """The names between the brackets at the end of the value."""
        import re

        return re.findall(r"\w+", _match(self.value).group("extras") or "")

    def load(self):
        """Import the module and return it, or the attribute of it that the value names."""
        from importlib import import_module

        match = _match(self.value)
        loaded = import_module(match.group("module"))
        for name in (match.group("attr") or "").split("."):
            if name:
                loaded = getattr(loaded, name)
        return loaded

    def matches(self, **params):
        """Whether each attribute named by a keyword equals the value given."""
        for param, wanted in params.items():
            if not (wanted == getattr(self, param)):
                return False
        return True

    def _key(self):
        return self.name, self.value, self.group

    # Comparison goes by `_key`, so that entry points equal those of importlib.metadata.
    def __lt__(self, other):
        if not hasattr(other, "_key"):
            return NotImplemented
        return self._key() < other._key()

    def __eq__(self, other):
        if not hasattr(other, "_key"):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def __setattr__(self, name, value):
        raise AttributeError("EntryPoint objects are immutable.")

    def __delattr__(self, name):
        raise AttributeError("EntryPoint objects are immutable.")

    def __repr__(self):
        return f"EntryPoint(name={self.name!r}, value={self.value!r}, group={self.group!r})"

    def __reduce__(self):
        return _restore, (type(self), self.name, self.value, self.group, self.dist)


def _restore(cls, name, value, group, dist):
    return cls(name, value, group)._for(dist)


class EntryPoints(tuple):
    """An immutable sequence of entry points."""

    __slots__ = ()

    def __getitem__(self, name):
        """The first entry point of that name; KeyError if there is none."""
        for entry_point in self:
            if entry_point.matches(name=name):
                return entry_point
        raise KeyError(name)

    def select(self, **params):
        """Those that match the given attributes (typically ``group`` and ``name``)."""
        if not params:
            return EntryPoints(self)
        return EntryPoints([ep for ep in self if ep.matches(**params)])

    @property
    def names(self):
        """The set of all names."""
        return {ep.name for ep in self}

    @property
    def groups(self):
        """The set of all groups."""
        return {ep.group for ep in self}
