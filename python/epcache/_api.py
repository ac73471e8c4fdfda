"""The functions of `importlib.metadata` besides ``entry_points()``, with its names and arguments."""

import sys

from . import _discovery
from ._ours import FLAVOUR


def version(distribution_name):
    """Return the version of a distribution, as its metadata has it.

    Raises `PackageNotFoundError` if it is not installed.
    """
    if isinstance(distribution_name, str) and distribution_name:
        found = _discovery.version(FLAVOUR, distribution_name)
        if found is not None:
            return found
    return distribution(distribution_name).version


def distribution(distribution_name):
    """Return the `importlib.metadata.Distribution` of that name, the first on ``sys.path``.

    Raises `PackageNotFoundError` if it is not installed.
    """
    if not distribution_name:
        raise ValueError("A distribution name is required.")
    for found in distributions(name=distribution_name):
        return found
    raise __getattr__("PackageNotFoundError")(distribution_name)


def distributions(**kwargs):
    """Return an iterator over the `importlib.metadata.Distribution` objects of all that is installed.

    Keyword arguments are those of `importlib.metadata.distributions`: ``name``, ``path``, or one
    ``context``.
    """
    context = kwargs.pop("context", None)
    if context is not None and kwargs:
        raise ValueError("cannot accept context and kwargs")
    if context is None:
        from importlib.metadata import DistributionFinder

        context = DistributionFinder.Context(**kwargs)
    return _discover(context)


def _discover(context):
    searched = False
    for finder in list(sys.meta_path):
        find_distributions = getattr(finder, "find_distributions", None)
        if find_distributions is None:
            continue
        if FLAVOUR.of(finder) is None:
            yield from find_distributions(context)
        elif not searched:
            searched = True
            yield from _discovery.find(FLAVOUR, context.name, context.path)


def requires(distribution_name):
    """Return the requirements of a distribution, None if it states none."""
    return distribution(distribution_name).requires


def files(distribution_name):
    """Return the files of a distribution, None if they are not recorded."""
    return distribution(distribution_name).files


def packages_distributions():
    """Return the names of the distributions that provide each importable top-level name."""
    return _discovery.packages(FLAVOUR)


def __getattr__(name):
    if name == "PackageNotFoundError":
        from importlib.metadata import PackageNotFoundError

        return PackageNotFoundError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
