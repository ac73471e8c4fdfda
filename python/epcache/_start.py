"""What ``epcache enable`` has a Python interpreter start with; see `accelerate` and `_pip`.

The line that it puts into an environment adds a finder to ``sys.meta_path`` that calls `find_spec`
here when one of the modules in question is imported. Until then, nothing of this package is.
"""

import sys

FINDER = "EpcacheFinder"
MODULES = ("importlib.metadata", "importlib_metadata")
PIP = ("pip._internal", "pip.basecommand")  # the second is what pip 9 has


def find_spec(name):
    """The spec of a module to be accelerated; None for pip, and for whatever is not to be had."""
    if name in PIP:
        from . import _pip

        _pip.watch()
        return None
    for finder in sys.meta_path:
        if _is_ours(finder) or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, _path_of_parent(name))
        if spec is not None:
            if hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader)
            return spec
    return None


def accelerate():
    """Make programs fast that use ``importlib.metadata`` or ``importlib_metadata``, in this process.

    Can be called at any time, before those modules are imported or after; until one of them is,
    nothing else happens. `decelerate` undoes it.
    """
    if not any(_is_ours(finder) for finder in sys.meta_path):
        _add_finder()
    for name in MODULES:
        module = sys.modules.get(name)
        if hasattr(module, "MetadataPathFinder"):
            from ._accelerate import replace

            replace(module)


def decelerate():
    """Undo `accelerate`, and what ``epcache enable --accelerate`` did for this process."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not _is_ours(finder)]
    if f"{__package__}._accelerate" in sys.modules:
        from ._accelerate import undo

        undo()


def _is_ours(finder):
    # By its name, since the line in an environment makes one without any of this package.
    return getattr(finder, "__name__", None) == FINDER


def _add_finder():
    class EpcacheFinder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return find_spec(name) if name in MODULES else None

    sys.meta_path.insert(0, EpcacheFinder)


def _path_of_parent(name):
    parent = sys.modules.get(name.rpartition(".")[0])
    return None if parent is None else parent.__path__


class _Loader:
    """Loads a module as its own loader does, and accelerates it then."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # What others look at afterwards is the module's own.
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        from ._accelerate import replace

        replace(module)
