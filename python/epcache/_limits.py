"""The numbers that this package goes by: each with its unit and its reason.

Rust has the first two under the same names (``src/freshness``).
"""

from . import EPOCH_ENDS, SETTLE_AFTER

__all__ = [
    "ENTRY_POINTS_SIZE",
    "EPOCH_ENDS",
    "NS",
    "READ_ATTEMPTS",
    "SETTLE_AFTER",
    "UNFINISHED_AFTER",
    "VIEWS",
]

NS = 1_000_000_000  # ns in a second

# ns. An installer may be at work on a distribution for so long, where something is still missing: pip
# compiles all modules between the first files of a distribution and the last.
UNFINISHED_AFTER = 60 * NS

# Bytes. The index describes no larger ``entry_points.txt``.
ENTRY_POINTS_SIZE = 1 << 20

# So many times a file is read again that is replaced while it is read.
READ_ATTEMPTS = 3

# So many site directories are remembered in a process; few programs have more than three.
VIEWS = 64
