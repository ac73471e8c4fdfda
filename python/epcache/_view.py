"""What is known of one site directory at one moment: its distributions, and which of them the index
describes as they are.

There are two proofs. The *site proof*: the directory has the stamp that the index records; then all
of the index is right. Otherwise the *proof of each distribution*: it is answered from the index if
its directory and the file in question have the recorded stamps, and from the disk if not. A file
that the index knows not to be there can't have been added without moving the directory's stamp.
"""

import posix

from . import stamp_of
from ._table import ENTRY_POINTS, METADATA, Table

TOP_LEVEL = 3

_ENDS = (".dist-info", ".egg-info")


def stem_of(name):
    """The normalized form of a distribution's name; see PEP 503, with underscores."""
    stem = name.lower().replace("-", "_")
    if "." in stem or "__" in stem:
        stem = stem.replace(".", "_")
        while "__" in stem:
            stem = stem.replace("__", "_")
    return stem


def stem_key(name):
    """By what `importlib.metadata` groups the names of a listing, and finds them."""
    return stem_of(name.lower().rpartition(".")[0].partition("-")[0])


def metadata_file(name):
    """The file that has name and version."""
    return "PKG-INFO" if name.lower().endswith(".egg-info") else "METADATA"


class View:
    """The distributions of a directory, in the order of its listing.

    `names` are those of their directories, `rows` their rows in the index, None where it has none.
    """

    def __init__(self, entry, names, index=None, rows=None, proven=False, unsettled=frozenset()):
        self.entry = entry
        self.names = names
        self.index = index
        self.table = None
        self.rows = rows
        self.proven = proven
        self._unsettled = unsettled
        self._known_proofs = {}
        self._stems = None
        self.lasting = proven and not unsettled
        self.made = {}  # whatever is kept with it, by who keeps it

    @classmethod
    def listed(cls, entry, names):
        """Of a directory without an index."""
        names = [name for name in names if name.lower().endswith(_ENDS)]
        return cls(entry, names, rows=[None] * len(names))

    @classmethod
    def indexed(cls, entry, index):
        """Of a directory whose index has its stamp."""
        table = Table(index)
        names = table.names()
        order = index.positions()
        rows = sorted(range(len(names)), key=lambda row: order[8 * row : 8 * row + 7])
        view = cls(entry, [names[row] for row in rows], index, rows, True, index.unsettled)
        view.table = table
        return view

    @classmethod
    def stale(cls, entry, index, names):
        """Of a directory that differs from what its index says: `names` is its listing now."""
        table = Table(index)
        numbers = {name: row for row, name in enumerate(table.names())}
        names = [name for name in names if name.lower().endswith(_ENDS)]
        view = cls(entry, names, index, [numbers.get(name) for name in names])
        view.table = table
        return view

    def again(self):
        """The same, with nothing kept with it."""
        view = View.__new__(View)
        view.__dict__.update(self.__dict__, made={})
        return view

    def stems(self):
        """The places of the distributions, by `stem_key`."""
        if self._stems is None:
            self._stems = stems = {}
            for item, name in enumerate(self.names):
                stems.setdefault(stem_key(name), []).append(item)
        return self._stems

    def grouped(self):
        """The places of all, those with one stem behind each other, as CPython from 3.10 on has it."""
        stems = self.stems()
        if len(stems) == len(self.names):
            return range(len(self.names))
        return [item for together in stems.values() for item in together]

    def key(self, item, flavour):
        """By what two distributions are the same for `entry_points()`."""
        name = self.names[item]
        key = stem_key(name) if name.endswith(_ENDS) else ""
        if not key:
            # Of the metadata then.
            row = self.row(item, METADATA)
            key = "" if row is None else self.table.key(row)
        if not key:
            distribution = flavour.distribution(self, item)
            name = distribution.name if hasattr(distribution, "name") else distribution.metadata["Name"]
            key = stem_of(name)
        return key

    def row(self, item, source):
        """The row that describes this source of the distribution as it is on disk; None: ask the disk."""
        row = self.rows[item]
        if row is None:
            return None
        if self.proven and row not in self._unsettled:
            return row
        proof = item, source
        if proof not in self._known_proofs:
            self._known_proofs[proof] = self._proves(item, row, source)
        return row if self._known_proofs[proof] else None

    def _proves(self, item, row, source):
        name = self.names[item]
        recorded = self.table.stamps(row)
        itself = item, 0
        if itself not in self._known_proofs:
            self._known_proofs[itself] = self._has(name, recorded[0])
        if not self._known_proofs[itself]:
            return False
        if source == METADATA:
            return self._has_file(name, metadata_file(name), recorded[1])
        if source == ENTRY_POINTS:
            return self._has_file(name, "entry_points.txt", recorded[2])
        if source == TOP_LEVEL:
            declared, listed, kind, _, _ = self.table.top_level(row)
            return (
                kind != "opaque"
                and self._has_file(name, "top_level.txt", declared)
                and (listed == b"-" or any(self._has(f"{name}/{file}", listed) for file in FILE_LISTS))
            )
        raise ValueError(source)

    def _has_file(self, name, file, recorded):
        return recorded == b"-" or self._has(f"{name}/{file}", recorded)

    def _has(self, path, recorded):
        try:
            info = posix.lstat(f"{self.entry}/{path}" if self.entry else path)
        except OSError:
            return False
        return b"%d %d %d %d" % stamp_of(info) == recorded


FILE_LISTS = ("RECORD", "installed-files.txt", "SOURCES.txt")
