"""Start-up hook of Python interpreters; the ``epcache.pth`` that ``epcache enable`` writes imports it.

The module is its own finder on ``sys.meta_path``: it calls the package `epcache` when a program imports
one of a few modules. Until then it imports nothing, because every start of the interpreter pays for it.

Only the package beside this one is ever called. Nothing happens where that has been uninstalled, where
another module named ``epcache`` precedes it, or where its directory has left ``sys.path``.

This is a package because the byte code of a single module would lie in the site directory: a new
``__pycache__`` there changes the directory's stamp, which makes its index stale.
"""

import os
import sys

_MODULES = {
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
        _awaited.extend(_MODULES.get(feature, ()))
    finder = sys.modules[__name__]
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)


def find_spec(name, path=None, target=None):
    """Hand the import of an awaited module over to the package."""
    if name not in _awaited or not _finds_package():
        return None
    try:
        if name in _MODULES["pip-hook"]:
            from epcache import _pip_hook

            _pip_hook.register()
            return None
        from epcache import _import_hook
    except ImportError:
        # An installer is replacing the package.
        return None
    return _import_hook.find_spec(name, path, target)


def _finds_package():
    """Whether ``import epcache`` gives the package beside this one."""
    beside = os.path.join(os.path.dirname(os.path.dirname(__file__)), "epcache", "__init__.py")
    package = sys.modules.get("epcache")
    if package is not None:
        return getattr(package, "__file__", None) == beside
    for finder in sys.meta_path:
        if finder is not sys.modules[__name__] and hasattr(finder, "find_spec"):
            spec = finder.find_spec("epcache", None)
            if spec is not None:
                return spec.origin == beside
    return False
