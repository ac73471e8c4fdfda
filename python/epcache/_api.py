"""The functions that answer as the running version's `importlib.metadata` does, from indexes.

They go through the same finders in the same order. Where one of them searches `sys.path`, this package
searches in its place. Nothing in `importlib.metadata` is replaced.
"""

import functools
import importlib.metadata
import sys
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath

from . import _backend, _discovery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = [
    "PackageNotFoundError",
    "distribution",
    "distributions",
    "files",
    "packages_distributions",
    "requires",
]


class _Indexed(importlib.metadata.Distribution):
    """Only for its class methods: those of `Distribution`, which ask these finders."""

    @staticmethod
    def _discover_resolvers():
        found = []
        for finder in sys.meta_path:
            find_distributions = getattr(finder, "find_distributions", None)
            backend = _backend.of_finder(finder)
            if find_distributions is not None and backend is not None and backend.is_untouched():
                find_distributions = functools.partial(_discovery.find, backend)
            if find_distributions is not None:
                found.append(find_distributions)
        return found


def distribution(distribution_name: str) -> Distribution:
    """Return the `importlib.metadata.Distribution` of that name.

    Raises `PackageNotFoundError` if it is not installed.
    """
    return _Indexed.from_name(distribution_name)


def distributions(**kwargs: "Any") -> "Iterable[Distribution]":
    """Return an iterable of the `importlib.metadata.Distribution` objects of all that is installed.

    Keyword arguments are those of `importlib.metadata.distributions`: ``name``, ``path``, or one
    ``context``.
    """
    return _Indexed.discover(**kwargs)


def requires(distribution_name: str) -> "list[str] | None":
    """Return the requirements of a distribution, None if it states none."""
    return distribution(distribution_name).requires


def files(distribution_name: str) -> "list[PackagePath] | None":
    """Return the files of a distribution, None if they are not recorded."""
    return distribution(distribution_name).files


def packages_distributions() -> "Mapping[str, list[str]]":
    """Return the names of the distributions that provide each importable top-level name.

    Raises `NotImplementedError` on 3.9, whose `importlib.metadata` has no such function.
    """
    module = importlib.metadata
    if not hasattr(module, "packages_distributions"):
        raise NotImplementedError("packages_distributions() needs Python 3.10 or newer")
    backend = _backend.of(module)
    if backend is None or not backend.is_untouched():
        return module.packages_distributions()
    from ._packages import packages

    return packages(backend)
