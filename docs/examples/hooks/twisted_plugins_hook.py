"""Rebuilds Twisted's cache of plugins, `twisted/plugins/dropin.cache`, after plugins have come, changed or gone."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

PLUGINS = "twisted/plugins"


def rebuild(changes: Iterable[SimpleNamespace]) -> None:
    changes = list(changes)
    if not any(has_plugins(change) for change in changes):
        return
    # Twisted itself would keep what it knows of a file that is older than the cache, as those of rebuilt packages are.
    Path(changes[0].site, PLUGINS, "dropin.cache").unlink(missing_ok=True)
    if find_spec("twisted") and find_spec("twisted.plugin"):
        import twisted.plugins
        from twisted.plugin import getCache

        modules = getCache(twisted.plugins)
        print(f"{len(modules)} modules with plugins")


def has_plugins(change: SimpleNamespace) -> bool:
    """Whether the distribution has or may have had plugins: nothing says which files are gone."""
    try:
        known = files(change.distribution)
    except PackageNotFoundError:
        return True
    return known is None or change.event == "updated" or any(file.parent.match(PLUGINS) for file in known)
