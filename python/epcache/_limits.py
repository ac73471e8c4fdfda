"""The limits of this package, each with its unit and its reason.

Rust has those that are imported here under the same names (``src/freshness``, ``src/limits.rs``).
"""

from . import EPOCH_ENDS, HEADER_SIZE, INDEX_SIZE, SETTLE_AFTER, WITHOUT_LINES

__all__ = [
    "EPOCH_ENDS",
    "HEADER_SIZE",
    "INDEX_SIZE",
    "WITHOUT_LINES",
    "METADATA_SIZE",
    "NS",
    "READ_ATTEMPTS",
    "RESOLVED",
    "SETTLE_AFTER",
    "UNFINISHED_AFTER",
    "VIEWS",
]

NS = 1_000_000_000  # ns in a second

# ns. How long an installer may be at work on a distribution in which something is still missing: pip
# compiles all modules between the first files of a distribution and the last.
UNFINISHED_AFTER = 60 * NS

# Bytes. An index repeats no larger file.
METADATA_SIZE = 8 << 20

# How many times a file is read that is replaced while it is read.
READ_ATTEMPTS = 3

# For how many directories without an index the real path is looked up in the caches. Resolving a path takes a call
# for each of its parts.
RESOLVED = 8

# How many site directories are remembered in a process; few programs have more than three.
VIEWS = 64
