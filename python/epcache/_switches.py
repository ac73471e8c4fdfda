"""The public switches of the acceleration, which is that of the start-up package."""

import sys

import epcache_startup


def accelerate() -> None:
    """Answer from indexes wherever this process uses ``importlib.metadata`` or ``importlib_metadata``.

    It can be called before those modules are imported or after. Until one of them is, nothing else
    is imported. `decelerate` undoes it.
    """
    epcache_startup.enable("accelerate")
    if any(name in sys.modules for name in epcache_startup.MODULES["accelerate"]):
        epcache_startup.put_in_loaded()


def decelerate() -> None:
    """Undo `accelerate`, and what ``epcache enable --accelerate`` did for this process."""
    # By name: there may be another version of that package as well.
    name = epcache_startup.__name__
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", None) != name]
    epcache_startup.remove()
