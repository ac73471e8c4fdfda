"""Warnings about indexes that can't be used, or not in full."""

import os
import shlex
import sys
import warnings

_warned = set()
# Frames of these packages are between the program's call and the warning.
_BETWEEN = (f"{__package__}.", f"{__package__}_startup.", "importlib.metadata.", "importlib_metadata.")


class StaleIndexWarning(UserWarning):
    """An index could not be used, or not in full, because it is stale, damaged or not to be trusted."""


def warn(texts):
    """Warn of pairs of a site directory and a text, once for each directory."""
    for site, text in texts:
        if site not in _warned:
            _warned.add(site)
            message = printable(f"{site}: {text}") + f"\nhint: epcache refresh {shell_quoted(site)}"
            warnings.warn(StaleIndexWarning(message), stacklevel=_callers())


def printable(text):
    """The text with escapes for control characters and those that are invisible or change its direction."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shell_quoted(path):
    """The path as one word of a shell command, with octal escapes in `$'...'` where it is not printable."""
    if path.isprintable():
        return shlex.quote(path)
    return "$'" + "".join(map(_octal, path)) + "'"


def _octal(c):
    if c.isprintable() and c not in "'\\":
        return c
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(c))


def _callers():
    """How many frames above is the code that asked, through this package or one that it accelerates."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith(_BETWEEN):
        level, frame = level + 1, frame.f_back
    return level
