"""Two other caches for comparison: stevedore's own, and one that trusts the directory's mtime."""

import importlib
import importlib.metadata
import os
import sys


class ByModificationTime:
    """A common kind of cache: it keeps the answer while the mtime of each path entry is the same."""

    def __init__(self):
        self.kept = {}

    def ask(self, path, group):
        stamps = tuple(os.stat(entry).st_mtime_ns if os.path.isdir(entry) else None for entry in path)
        known = self.kept.get((tuple(path), group))
        if known is None or known[0] != stamps:
            known = self.kept[tuple(path), group] = stamps, plain(group)
        return known[1]


def plain(group):
    importlib.metadata.FastPath.__new__.cache_clear()
    found = importlib.metadata.entry_points()
    if group is not None:
        found = found.select(group=group)
        return [(ep.name, ep.value, ep.group) for ep in found]
    return [(ep.name, ep.value, ep.group) for one in found.groups for ep in found.select(group=one)]


class Stevedore:
    """stevedore's cache, used by a new process each time."""

    def __init__(self, package, directory):
        sys.path.insert(0, str(package))
        try:
            self.module = importlib.import_module("stevedore._cache")
        finally:
            sys.path.remove(str(package))
        self.directory = str(directory)

    def ask(self, _path, group):
        importlib.metadata.FastPath.__new__.cache_clear()
        cache = self.module.Cache(self.directory)
        cache._disable_caching = False  # stevedore disables it for a Python below /tmp, as in some checkouts
        return [(ep.name, ep.value, ep.group) for ep in cache.get_group_all(group)]
