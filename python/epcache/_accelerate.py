"""Answers in place of the functions of `importlib.metadata` and `importlib_metadata`, from indexes.

`epcache_startup` calls them. It replaces ``MetadataPathFinder.find_distributions``, which ``distributions()`` calls
for pluggy, pip and every other program. It also replaces ``entry_points``, ``version`` and
``packages_distributions``, which otherwise would still walk over every distribution.

What they return is made of the module's own classes.
"""

from . import _backend, _discovery, asked_for


class Answers:
    """The answers in place of the functions of one module; None where its own function has to answer."""

    def __init__(self, backend):
        self.backend = backend
        self._module = backend.module

    @classmethod
    def of(cls, module):
        """The answers for a module; None if its release is not known."""
        backend = _backend.of(module)
        return None if backend is None else cls(backend)

    def find_distributions(self, context=None):
        if context is None:
            context = self._module.DistributionFinder.Context()
        return _discovery.find(self.backend, context)

    def entry_points(self, **params):
        unique = self.backend.unique
        if params and not unique:
            return None
        group, name = asked_for(params)
        found = _discovery.entry_points(self.backend, group, name)
        if not unique:
            groups = {}
            for entry_point in found:
                groups.setdefault(entry_point.group, []).append(entry_point)
            return {group: tuple(groups[group]) for group in sorted(groups)}
        by_groups = getattr(self._module, "SelectableGroups", None)
        if by_groups is not None and group is None:
            return by_groups.load(found).select(**params)
        return self.backend.selectable(found).select(**params)

    def version(self, name, begun):
        return _discovery.version(self.backend, name, begun)

    def packages_distributions(self):
        try:
            from ._packages import packages
        except ImportError:
            # The package has been uninstalled meanwhile.
            return None
        return packages(self.backend)
