"""Giving `importlib.metadata` and `importlib_metadata` the index, without their users' knowledge.

Both modules get the same replacements, as they are imported or at once if they have been:

- ``MetadataPathFinder.find_distributions``, which pluggy, pip and whoever else iterates over
  ``distributions()`` ends at;
- ``entry_points``, ``version`` and ``packages_distributions``, which otherwise would still walk over
  every distribution.

What they return is made of the module's own classes. Where somebody else has replaced a part of the
module (tests do), its own functions run, on top of whatever is replaced.
"""

import functools

from . import _discovery
from ._native import Native, flavours, understood
from ._path import modes

_accelerated = {}


def replace(module):
    """Accelerate a module that has been imported."""
    known = _accelerated.get(module.__name__)
    if known is not None and known.module is module and known.in_place():
        return
    try:
        acceleration = _Acceleration(module) if understood(module) else None
    except Exception:
        # A release that is made in another way. Programs that import it must not fail for that.
        acceleration = None
    if acceleration is not None:
        acceleration.begin()


def undo():
    """Put everything back."""
    for acceleration in list(_accelerated.values()):
        acceleration.undo()


class _Acceleration:
    def __init__(self, module):
        self.module = module
        self._finder = module.MetadataPathFinder
        self._original_finder = self._finder.__dict__["find_distributions"]
        # Before 7.0 importlib_metadata's was a method of the instance, all of whose parts are its class's.
        self._function = getattr(self._original_finder, "__func__", self._original_finder)
        self._search = self._finder.__dict__.get("_search_paths")
        original = functools.partial(self._function, self._finder)
        self.flavour = Native(module, original)
        self._replacement = self._make_find_distributions()
        self._originals = {}
        self._on = False
        # What the module's own functions are made of; replaced by somebody else, they have to run.
        self._parts = {name: getattr(module, name) for name in ("distributions", "distribution")}
        self._discover = module.Distribution.__dict__["discover"]
        self._from_name = module.Distribution.__dict__["from_name"]

    def begin(self):
        """Put the replacements in place; nothing of this can fail."""
        _accelerated[self.module.__name__] = self
        flavours[self.module.__name__] = self.flavour
        self._on = True
        self._finder.find_distributions = self._replacement
        self._replace("entry_points", self._make_entry_points)
        self._replace("version", self._make_version)
        self._replace("packages_distributions", self._make_packages_distributions)

    def _replace(self, name, make):
        original = getattr(self.module, name, None)
        if original is not None:
            self._originals[name] = original
            setattr(self.module, name, functools.wraps(original)(make(original)))

    def in_place(self):
        """Whether the module has not been executed again since (`importlib.reload`)."""
        return self.module.MetadataPathFinder is self._finder and self._on

    def undo(self):
        self._on = False
        if self._finder.__dict__.get("find_distributions") is self._replacement:
            self._finder.find_distributions = self._original_finder
        for name, original in self._originals.items():
            if getattr(getattr(self.module, name), "__wrapped__", None) is original:
                setattr(self.module, name, original)
        _accelerated.pop(self.module.__name__, None)
        flavours.pop(self.module.__name__, None)

    def _untouched(self):
        """Whether the module's functions would do what ours do."""
        module = self.module
        return (
            self._on
            and self._finder.__dict__.get("find_distributions") is self._replacement
            and self._finder.__dict__.get("_search_paths") is self._search
            and module.MetadataPathFinder is self._finder
            and module.Distribution.__dict__.get("discover") is self._discover
            and module.Distribution.__dict__.get("from_name") is self._from_name
            and all(getattr(module, name) is part for name, part in self._parts.items())
            and "off" not in modes()
        )

    def _make_find_distributions(self):
        acceleration = self

        def find_distributions(cls, context=self.module.DistributionFinder.Context()):  # noqa: B008 - as the original
            own = functools.partial(acceleration._function, cls)
            name = context.name
            if (
                not acceleration._on
                or "off" in modes()
                or cls.__dict__.get("_search_paths", acceleration._search) is not acceleration._search
                or acceleration._finder.__dict__.get("_search_paths") is not acceleration._search
                or not (name is None or isinstance(name, str))
            ):
                return own(context)
            return _discovery.find(acceleration.flavour, name or None, context.path)

        find_distributions.__doc__ = self._function.__doc__
        find_distributions.__qualname__ = self._function.__qualname__
        find_distributions.__module__ = self.module.__name__
        return classmethod(find_distributions)

    def _make_entry_points(self, original):
        module = self.module
        by_groups = getattr(module, "SelectableGroups", None)

        def entry_points(**params):
            if not self._untouched() or (params and not self.flavour.unique):
                return original(**params)
            group = params.get("group")
            # Only strings are compared then, so no entry point of another group matters.
            if type(group) is not str or not params.keys() <= {"group", "name", "value"}:
                group = None
            found = _discovery.entry_points(self.flavour, group)
            if not self.flavour.unique:
                groups = {}
                for entry_point in found:
                    groups.setdefault(entry_point.group, []).append(entry_point)
                return {group: tuple(groups[group]) for group in sorted(groups)}
            if by_groups is not None and group is None:
                return by_groups.load(found).select(**params)
            return module.EntryPoints(found).select(**params)

        return entry_points

    def _make_version(self, original):
        def version(distribution_name):
            if type(distribution_name) is str and distribution_name and self._untouched():
                found = _discovery.version(self.flavour, distribution_name)
                if found is not None:
                    return found
            return original(distribution_name)

        return version

    def _make_packages_distributions(self, original):
        def packages_distributions():
            if not self._untouched():
                return original()
            return _discovery.packages(self.flavour)

        return packages_distributions
