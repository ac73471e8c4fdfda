"""Telling the import system of this process that one directory has changed.

Its finders keep the listing of a directory for as long as the directory has the same mtime, so
what is added within one tick of the file system's clock is not found. `importlib.invalidate_caches`
makes every finder list its directory again; here it is only those of one.
"""

import contextlib
import os
import sys


def invalidate(entry):
    """Forget what is known of one entry of `sys.path`, and of the packages in it."""
    try:
        place = os.fsdecode(entry) or os.getcwd()
    except OSError:
        # The working directory has been deleted.
        return
    _forget_finders(place)
    for name in ("importlib.metadata", "importlib_metadata"):
        module = sys.modules.get(name)
        if module is not None:
            _forget_distributions(module, entry)


def _forget_finders(place):
    cache = sys.path_importer_cache
    inside = place.rstrip("/") + "/"
    for key, finder in list(cache.items()):
        if type(key) is not str:
            continue
        if key != place and (not key.startswith(inside) or key in sys.path):
            continue
        if finder is None:
            # There was no such directory when it was first looked for.
            cache.pop(key, None)
            continue
        forget = getattr(finder, "invalidate_caches", None)
        if forget is not None:
            # Whoever wrote that finder may have made a mistake.
            with contextlib.suppress(Exception):
                forget()


def _forget_distributions(module, entry):
    # From 3.10 on listings are kept in these objects, one a path entry; the name is private.
    with contextlib.suppress(Exception):
        module.FastPath(entry).lookup.cache_clear()
