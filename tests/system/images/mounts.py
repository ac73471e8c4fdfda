"""File systems, mounted in the namespace of this process alone."""

import contextlib
import functools

from support import private_mounts


@functools.cache
def begin():
    """Enter a new mount namespace; once is enough."""
    private_mounts.begin()


@contextlib.contextmanager
def mounted_memory(place):
    """A tmpfs."""
    begin()
    place.mkdir()
    with private_mounts.mounted("-t", "tmpfs", "tmpfs", place):
        yield place


@contextlib.contextmanager
def overlaid(layers, directory):
    """A single tree of the layers, the lowest first; changes go to a separate layer."""
    begin()
    parts = [directory / name for name in ("upper", "work", "merged")]
    for part in parts:
        part.mkdir()
    upper, work, merged = parts
    lower = ":".join(str(layer) for layer in reversed(layers))
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    with private_mounts.mounted("-t", "overlay", "-o", options, "overlay", merged):
        yield merged
