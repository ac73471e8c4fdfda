"""Invalidates what the import system of this process remembers of one directory.

Its finders keep the listing of a directory for as long as the directory has the same mtime. A module that
is added within one tick of the file system's clock is not found. `importlib.invalidate_caches` makes every
finder list its directory again; this does it for one directory only.
"""

import contextlib
import os
import sys


def invalidate(entry):
    """Invalidate the caches of one entry of `sys.path`, and of the packages in it."""
    try:
        directory = os.fsdecode(entry) or os.getcwd()
    except OSError:
        # The working directory has been removed.
        return
    _invalidate_finders(directory)
    for name in ("importlib.metadata", "importlib_metadata"):
        module = sys.modules.get(name)
        if module is not None:
            _forget_distributions(module, entry)


def _invalidate_finders(directory):
    cache = sys.path_importer_cache
    inside = directory.rstrip("/") + "/"
    for path, finder in list(cache.items()):
        if type(path) is not str:
            continue
        if path != directory and (not path.startswith(inside) or path in sys.path):
            continue
        if finder is None:
            # The directory did not exist when it was first searched.
            cache.pop(path, None)
        elif hasattr(finder, "invalidate_caches"):
            # An error in the finder of another package must not stop the watcher.
            with contextlib.suppress(Exception):
                finder.invalidate_caches()


def _forget_distributions(module, entry):
    # From 3.10 on these objects keep the listings, one for each entry. The name is private.
    with contextlib.suppress(Exception):
        module.FastPath(entry).lookup.cache_clear()
