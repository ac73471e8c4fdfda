"""The text of an ``entry_points.txt``, read as CPython from 3.10 on does."""

import posix

_REGULAR, _KIND = 0o100000, 0o170000


def entry_points_text(path):
    """The content of that file; empty where there is no regular file that can be read.

    To open a FIFO would block.
    """
    try:
        if posix.stat(path).st_mode & _KIND != _REGULAR:
            return ""
    except OSError:
        pass  # open() raises the same, or what CPython would raise
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
        return ""


def parse(text):
    """The entry points as tuples (name, value, group); `TypeError` for a line without ``=``."""
    group = None
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line.strip("[]")
        elif group is not None:
            name, equals, value = line.partition("=")
            if not equals:
                raise TypeError(f"an entry point without a value: {line!r}")
            yield name.strip(), value.strip(), group
