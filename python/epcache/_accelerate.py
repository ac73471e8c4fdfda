"""Makes `importlib.metadata` and `importlib_metadata` answer from indexes, for programs that use these.

Both modules get the same replacements:

- ``MetadataPathFinder.find_distributions``, which pluggy, pip and everybody else who iterates over
  ``distributions()`` ends at;
- ``entry_points``, ``version`` and ``packages_distributions``, which otherwise would still walk over
  every distribution.

What they return is made of the module's own classes. Where somebody else has replaced a part of the
module (tests do), its own functions run, on top of whatever is replaced.
"""

import functools

from . import _backend, _discovery, asked_for
from ._scan import modes

_accelerated = {}


def replace(module):
    """Accelerate a module that has been imported, if its release is known."""
    known = _accelerated.get(module.__name__)
    if known is not None and known.module is module and known.in_place():
        return
    try:
        backend = _backend.of(module)
        acceleration = None if backend is None else _Acceleration(module, backend)
    except Exception:
        # Somebody has changed the module. Programs that import it must not fail for that.
        acceleration = None
    if acceleration is not None:
        acceleration.begin()


def undo():
    """Put everything back."""
    for acceleration in list(_accelerated.values()):
        acceleration.undo()


class _Acceleration:
    def __init__(self, module, backend):
        self.module = module
        self.backend = backend
        self._finder = module.MetadataPathFinder
        self._replacement = self._make_find_distributions()
        self._originals = {}
        self._on = False
        # What the module's own functions use. Where somebody replaces one, these functions have to run.
        self._parts = {name: getattr(module, name) for name in ("distributions", "distribution")}
        self._methods = {name: module.Distribution.__dict__[name] for name in ("discover", "from_name")}

    def begin(self):
        """Put the replacements in place; nothing of this can fail."""
        _accelerated[self.module.__name__] = self
        self._on = True
        self._finder.find_distributions = self._replacement
        self.backend.replacement = self._replacement
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
            self._finder.find_distributions = self.backend.original
        self.backend.replacement = None
        for name, original in self._originals.items():
            if getattr(getattr(self.module, name), "__wrapped__", None) is original:
                setattr(self.module, name, original)
        _accelerated.pop(self.module.__name__, None)

    def _is_untouched(self):
        """Whether the module's own functions would do what ours do."""
        module = self.module
        return (
            self._on
            and self._finder.__dict__.get("find_distributions") is self._replacement
            and self.backend.is_untouched()
            and all(module.Distribution.__dict__.get(name) is each for name, each in self._methods.items())
            and all(getattr(module, name) is part for name, part in self._parts.items())
            and "off" not in modes()
        )

    def _make_find_distributions(self):
        acceleration, backend = self, self.backend

        def find_distributions(cls, context=self.module.DistributionFinder.Context()):  # noqa: B008 - as the original
            if acceleration._on and "off" not in modes() and backend.searches_as_always(cls):
                return _discovery.find(backend, context)
            return backend.function(cls, context)

        find_distributions.__doc__ = backend.function.__doc__
        find_distributions.__qualname__ = backend.function.__qualname__
        find_distributions.__module__ = self.module.__name__
        return classmethod(find_distributions)

    def _make_entry_points(self, original):
        module = self.module
        by_groups = getattr(module, "SelectableGroups", None)

        def entry_points(**params):
            unique = self.backend.unique
            if not self._is_untouched() or (params and not unique):
                return original(**params)
            group, name = asked_for(params)
            found = _discovery.entry_points(self.backend, group, name)
            if not unique:
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
            if type(distribution_name) is str and distribution_name and self._is_untouched():
                found = _discovery.version(self.backend, distribution_name)
                if found is not None:
                    return found
            return original(distribution_name)

        return version

    def _make_packages_distributions(self, original):
        def packages_distributions():
            if not self._is_untouched():
                return original()
            from ._packages import packages

            return packages(self.backend)

        return packages_distributions
