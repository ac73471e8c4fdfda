"""The site proof of a sealed index in a copy of its tree, such as an unpacked image.

No stamp survives a copy, but mtimes in whole seconds do. So these are compared: of the site directory,
and of the package managers' databases. All names in the directory are compared, too. The index file
was given a time of its own, which shows whether the copy kept times.
"""

import posix
import sys
import time

from . import HASH_PRIME, SETTLE_AFTER, checked, stamp_of, unescaped
from ._table import Table

_SECOND = 1_000_000_000


def proof(index, entry, info, listing=None):
    """None if the index describes the directory, whose `stat` is `info`; otherwise the reason why it does not.

    The reason is empty where only the content of each distribution proves the index. `listing` is that of the
    directory, if it has been listed after the `stat`. With the proof, the index gets the order of the distributions
    in this copy, and `cacheable`.
    """
    if index.sealed == b"contents":
        return ""
    given, names, witnesses = _recorded(index)
    changed = "packages have changed since it was sealed"
    if stamp_of(info) == index.site:
        # Not a copy. But package managers replace files without a change of the directory's stamp.
        index.cacheable = not witnesses
        return None if all(_is_as_recorded(*witness) for witness in witnesses) else changed
    if not _same(given, index.file.st_mtime_ns // _SECOND):
        return "files have been given other times since it was sealed"
    if not _same(index.site[0] // _SECOND, info.st_mtime_ns // _SECOND):
        return "the directory has changed since it was sealed"
    if not all(_is_as_recorded(*witness) for witness in witnesses):
        return changed
    try:
        listing = listing or posix.listdir(entry)
        again = posix.stat(entry)
    except OSError as error:
        return f"the directory can't be read ({error.strerror})"
    found = [name.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()) for name in listing]
    if int.from_bytes(b"\0".join(sorted(found)), "little") % HASH_PRIME != names or not index.take_order(
        Table(index).names(), listing
    ):
        return "the directory has changed since it was sealed"
    index.seen = stamp_of(info)
    if stamp_of(again) != index.seen:
        return "the directory has just changed"
    index.cacheable = (
        not witnesses and time.time_ns() - max(info.st_mtime_ns, info.st_ctime_ns) > SETTLE_AFTER
    )
    return None


@checked
def _recorded(index):
    given, names, *witnesses = index.sealed.split(b"\t")
    found = []
    for witness in witnesses:
        seconds, size, path = witness.split(b" ", 2)
        found.append((unescaped(path), None if seconds == b"-" else (int(seconds), int(size))))
    return int(given), int(names), found


def _same(recorded, found):
    # 0 is what OSTree gives all files, 1 what Nix does.
    return min(recorded, found) > 1 and -1 <= recorded - found <= 1


def _is_as_recorded(path, recorded):
    try:
        info = posix.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return recorded is None
    except OSError:
        return False
    size = info.st_size if info.st_mode & 0o170000 == 0o100000 else 0
    return recorded is not None and size == recorded[1] and _same(recorded[0], info.st_mtime_ns // _SECOND)
