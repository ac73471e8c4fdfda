"""Warnings about indexes that are of little use."""

import shlex
import sys
import warnings

_warned = set()


class StaleIndexWarning(UserWarning):
    """An index could not be used, or not in full, because it is stale, damaged or not to be trusted."""


def warn(texts):
    """Warn of pairs of a site directory and a text, once for each directory."""
    for site, text in texts:
        if site not in _warned:
            _warned.add(site)
            message = f"{site}: {text}\nhint: epcache refresh {shlex.quote(site)}"
            warnings.warn(StaleIndexWarning(message), stacklevel=_callers())


def _callers():
    """How many frames above is the code that called this package."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    return level
