"""Start-up hook of Python interpreters; the ``epcache.pth`` that ``epcache enable`` writes imports it.

The module is its own finder on ``sys.meta_path``: it calls `stand_ins` or the package `epcache` when a program
imports one of a few modules. Until then it imports nothing, because every start of the interpreter pays for it.

Only the package beside this one is ever called. Nothing happens where that has been uninstalled, where
another module named ``epcache`` precedes it, or where its directory has left ``sys.path``.

This is a package because the byte code of a single module would lie in the site directory: a new
``__pycache__`` there changes the directory's stamp, which makes its index stale.
"""

import sys

MODULES = {
    "accelerate": ("importlib.metadata", "importlib_metadata"),
    # The second is what pip 9 has.
    "pip-hook": ("pip._internal", "pip.basecommand"),
}
_awaited = []
# An older interpreter can find this package too, in a directory that several versions share.
_OLDEST = (3, 9)


def enable(*features: str) -> None:
    """Wait for the modules of each feature; later calls add to earlier ones."""
    if sys.version_info < _OLDEST:
        return
    for feature in features:
        _awaited.extend(MODULES.get(feature, ()))
    finder = sys.modules[__name__]
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)


def find_spec(name, path=None, target=None):
    """Hand over the import of an awaited module."""
    if name not in _awaited:
        return None
    try:
        if name in MODULES["accelerate"]:
            if is_off():
                return None
            from . import stand_ins

            return stand_ins.find_spec(name, path, target)
        if finds_package():
            from epcache import _pip_hook

            _pip_hook.register()
    except ImportError:
        # An installer is replacing the package.
        pass
    return None


def is_off():
    """Whether the variable EPCACHE says that no index is to be used."""
    from os import environ

    return "off" in environ.get("EPCACHE", "").replace(" ", "").split(",")


def finds_package():
    """Whether ``import epcache`` gives the package beside this one."""
    beside = __file__.rpartition("/")[0].rpartition("/")[0] + "/epcache/__init__.py"
    package = sys.modules.get("epcache")
    if package is not None:
        return getattr(package, "__file__", None) == beside
    for finder in sys.meta_path:
        if finder is not sys.modules[__name__] and hasattr(finder, "find_spec"):
            spec = finder.find_spec("epcache", None)
            if spec is not None:
                return spec.origin == beside
    return False
