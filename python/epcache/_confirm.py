"""Confirms what an index of the user `epcache` says, in the plain case.

An attacker who has taken over that user must not choose what others run. So such an index only says where
to look. The listing of the directory has to hold its distributions, all of them, and gives their order. The
entry points have to be in the files of the distributions that are said to have some. Where anything differs,
this is not the plain case: `_discovery` then takes what the files have, and warns.
"""

import posix

from . import NotPlain, unescaped
from ._names import stems
from ._parse import parse

_LARGEST = 1 << 16  # bytes


def is_plain(index, listing):
    """Whether the index has the distributions of the listing, and no two of one name; takes their order."""
    rows = index.segment(b"distributions").split(b"\n")[:-1]
    index.names = names = unescaped(b"\n".join([row.partition(b"\t")[0] for row in rows])).split("\n")
    return index.take_order(names, listing) and index.ordered and len(set(stems(names))) == index.count


def confirmed(index, group, name, records):
    """The records, if the files of the distributions have the same ones; otherwise raises `NotPlain`.

    With a name, only those of the distributions that have an entry point of that name.
    """
    of_rows = {}
    for record in records:
        of_rows.setdefault(record[0], []).append(record)
    found = []
    for row, of_row in of_rows.items():
        if name is not None and all(record[3] != name for record in of_row):
            continue
        try:
            text = _read(f"{index.site_directory}/{index.names[row]}/entry_points.txt")
            declared = [(its, key, value) for key, value, its in parse(text) if group in (None, its)]
        except (OSError, ValueError, TypeError):
            raise NotPlain from None
        if declared != [record[2:] for record in of_row]:
            raise NotPlain
        found += of_row
    return found


def _read(path):
    # With few calls. What is no small file is not the plain case, either.
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        text = posix.read(descriptor, _LARGEST)
    finally:
        posix.close(descriptor)
    if len(text) == _LARGEST:
        raise NotPlain
    return text.decode()
