"""The releases of `importlib.metadata` and `importlib_metadata` that are known, and how they differ.

What is not in these tables is left as it is, because its rules are not known: an older release, or one
that is newer than this package.
"""

import posix
import sys

from ._names import is_distribution, metadata_file, stem

# How `packages_distributions()` finds the importable names of a distribution without top_level.txt.
NONE = 0  # not at all
PYTHON = 1  # from the ``.py`` files in its list of files, whether they exist or not
MODULES = 2  # from all listed files that exist; a file by itself has to be a module of this interpreter
ALL = 3  # as above, and a file by itself may be without a suffix, too


class Release:
    """The rules in which one release differs from another."""

    def __init__(
        self, top_level, unique=True, tuples=False, validates=False, converts=False, valid_first=False
    ):
        self.top_level = top_level
        # Of several distributions with one name only the first has entry points. Otherwise all have, and
        # distributions are in the order of the listing.
        self.unique = unique
        # Entry points are tuples.
        self.tuples = tuples
        # An entry point whose value is no object reference is refused.
        self.validates = validates
        # Distributions of other finders are converted to classes of this module.
        self.converts = converts
        # entry_points() takes distributions that have metadata first.
        self.valid_first = valid_first


_CPYTHON = {
    (3, 9): Release(None, unique=False, tuples=True),
    (3, 10): Release(NONE, tuples=True),
    (3, 11): Release(PYTHON),
    (3, 12): Release(MODULES),
    (3, 13): Release(ALL),
    (3, 14): Release(ALL),
    (3, 15): Release(ALL, validates=True),
}

# From one version on, up to another.
_IMPORTLIB_METADATA = [
    ((4, 8), (6, 2), Release(PYTHON)),
    ((6, 3), (6, 7), Release(MODULES)),
    ((6, 7), (8, 7), Release(ALL)),
    ((8, 7), (9, 1), Release(ALL, validates=True)),
    ((9, 1), (10, 0), Release(ALL)),
    ((10, 0), (10, 1), Release(ALL, converts=True)),
    ((10, 1), (10, 3), Release(ALL, converts=True, valid_first=True)),
]


def release_of(module):
    """The `Release` that a module is; None if it is not known."""
    if module.__name__ == "importlib.metadata":
        # Later releases of 3.12 have the rule of 3.13.
        later = sys.version_info[:2] == (3, 12) and hasattr(module, "_get_toplevel_name")
        return _CPYTHON.get((3, 13) if later else sys.version_info[:2])
    version = _version_beside(module)
    for first, end, release in _IMPORTLIB_METADATA:
        if version is not None and first <= version < end:
            return release
    return None


def _version_beside(module):
    """Major and minor version of importlib_metadata, by the distribution beside it; None if unclear."""
    site = module.__file__.rpartition("/")[0].rpartition("/")[0]
    found = set()
    try:
        for name in posix.listdir(site):
            if is_distribution(name) and stem(name) == "importlib_metadata":
                found.add(_major_and_minor(_version_of(site, name)))
    except (OSError, ValueError):
        return None
    return found.pop() if len(found) == 1 else None


def _version_of(site, name):
    version = name.rpartition(".")[0].partition("-")[2].partition("-")[0]
    if version:
        return version
    with open(f"{site}/{name}/{metadata_file(name)}", encoding="utf-8") as file:
        for line in file:
            if line.startswith("Version: "):
                return line[len("Version: ") :]
    raise ValueError(name)


def _major_and_minor(version):
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
