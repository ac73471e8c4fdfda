"""The proof by content: a file that has the content from which the index was made.

It holds where no stamp does: in a copy of the directory, and in an image whose files were all given one time. Reading
a file takes a small part of the time of parsing it.
"""

import posix

from . import BLOCK, HASH_PRIME, checksum_of
from ._limits import METADATA_SIZE
from ._names import metadata_file

_FIRST_READ = 1 << 16  # bytes
_FACTOR = pow(256, BLOCK, HASH_PRIME)
_FLAGS = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY


def has_metadata(path, name, recorded, is_single_file):
    """Whether the metadata of the distribution at `path`, whose directory is called `name`, has the recorded content."""
    if is_single_file:
        return _has(path, recorded, None)
    file = metadata_file(name)
    # `importlib.metadata` would take METADATA, also in an .egg-info.
    if file != "METADATA" and not _is_missing(f"{path}/METADATA", None):
        return False
    return _has(f"{path}/{file}", recorded, None)


def has_entry_points(path, recorded, is_missing, directory=None):
    """The same for its entry_points.txt. `directory` is a descriptor that the path is relative to."""
    path += "/entry_points.txt"
    return _is_missing(path, directory) if is_missing else _has(path, recorded, directory)


def _has(path, recorded, directory):
    if recorded == b"-":
        return False
    try:
        descriptor = posix.open(path, _FLAGS, dir_fd=directory)
    except OSError:
        return False
    try:
        data = posix.read(descriptor, _FIRST_READ)
        if len(data) == _FIRST_READ:
            data += posix.read(descriptor, METADATA_SIZE)
    except OSError:
        return False
    finally:
        posix.close(descriptor)
    return recorded == b"%d %d" % (len(data), checksum_of(data, HASH_PRIME, _FACTOR))


def _is_missing(path, directory):
    try:
        posix.stat(path, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
