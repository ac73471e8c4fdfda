"""Acceleration of a module as it is imported, and the public switches for it.

`find_spec` is called by the finder that `accelerate` adds, and by the start-up hook that
``epcache enable`` installs (the package `epcache_startup`).
"""

import sys

ACCELERATED = ("importlib.metadata", "importlib_metadata")


def accelerate() -> None:
    """Answer from indexes wherever this process uses ``importlib.metadata`` or ``importlib_metadata``.

    It can be called before those modules are imported or after. Until one of them is, nothing else
    is imported. `decelerate` undoes it.
    """
    if not any(_is_ours(finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, sys.modules[__name__])
    for name in ACCELERATED:
        module = sys.modules.get(name)
        if hasattr(module, "MetadataPathFinder"):
            from ._accelerate import replace

            replace(module)


def decelerate() -> None:
    """Undo `accelerate`, and what ``epcache enable --accelerate`` did for this process."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not _is_ours(finder)]
    if f"{__package__}._accelerate" in sys.modules:
        from ._accelerate import undo

        undo()


def find_spec(name, path=None, target=None):
    """The spec of a module to accelerate, with a loader that does it; None for all others."""
    if name not in ACCELERATED:
        return None
    for finder in sys.meta_path:
        if _is_ours(finder) or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, path, target)
        if spec is not None:
            if hasattr(spec.loader, "exec_module"):
                spec.loader = _AcceleratingLoader(spec.loader)
            return spec
    return None


def _is_ours(finder):
    # By name: the start-up hook may be that of another version of this package.
    return getattr(finder, "__name__", None) in (__name__, "epcache_startup")


class _AcceleratingLoader:
    """Loads a module with its own loader, then accelerates it."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # Programs that look at the loader later find the original.
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        from ._accelerate import replace

        replace(module)
