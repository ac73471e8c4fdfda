"""Telling people that an index was of no use."""

import shlex
import warnings

_warned = set()


class StaleIndexWarning(UserWarning):
    """An index was not used because it is stale, damaged or not to be trusted."""


def tell(troubles):
    """Warn, once per site directory."""
    for site, text in troubles:
        if site not in _warned:
            _warned.add(site)
            message = f"{site}: {text}; the directory is read instead"
            hint = f"hint: epcache refresh {shlex.quote(site)}"
            warnings.warn(StaleIndexWarning(f"{message}\n{hint}"), stacklevel=3)
