"""The reader's answers in this process, and its warnings, as if none had been given before."""

import warnings

import epcache
from epcache import _warning


def entry_points(**params):
    """The entry points, and the texts of the warnings, all of which must be the reader's."""
    _warning._warned.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = epcache.entry_points(**params)
    assert all(issubclass(warning.category, epcache.StaleIndexWarning) for warning in caught)
    return found, [str(warning.message) for warning in caught]
