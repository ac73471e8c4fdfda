"""What is known of one site directory at one moment: its distributions, and which of them the index
describes as they are.

There are two proofs. The *site proof*: the directory has the stamp that the index records; then all
of the index is right. Otherwise the *proof of each distribution*: it is answered from the index if
its directory and the file in question have the recorded stamps, and from the disk if not. A file
that the index knows not to be there can't have been added without moving the directory's stamp.
"""

import posix

from . import stamp_of
from ._limits import SETTLE_AFTER, UNFINISHED_AFTER
from ._names import FILE_LISTS, SUFFIXES, has_stem, is_distribution, metadata_file, normalized, stem
from ._table import ENTRY_POINTS, METADATA, Table

TOP_LEVEL = 3


def _stamp(path):
    try:
        return stamp_of(posix.lstat(path))
    except OSError:
        return None


class View:
    """The distributions of a directory, in the order of its listing.

    `names` are those of their directories, `rows` their rows in the index, None where it has none.
    """

    def __init__(self, entry, names, rows, index=None, table=None, listing=None, unsettled=frozenset()):
        self.entry = entry
        self.names = names
        self.rows = rows
        self.index = index
        self.table = table
        self._listing = listing  # all that is in the directory; None with the site proof
        self._unsettled = unsettled
        self._proofs = {}
        self._itself = [None] * len(names)
        self._stems = None
        self.cacheable = index is not None and listing is None and not unsettled
        self.stamp = None  # of the directory, while this is kept for as long as it has it
        self.warning = None  # what there is to tell of it, as often as it is used
        self.cache = {}  # whatever is kept with it, by who keeps it
        self.changed = None  # the first distribution that is not as its index says, to its surprise

    @classmethod
    def listed(cls, entry, listing):
        """Of a directory without an index."""
        names = [name for name in listing if is_distribution(name)]
        return cls(entry, names, [None] * len(names), listing=listing)

    @classmethod
    def indexed(cls, entry, index):
        """Of a directory whose index has its stamp."""
        table = Table(index)
        names = table.names()
        places = index.positions().split(b"\n")
        rows = sorted(range(len(names)), key=places.__getitem__)
        return cls(entry, [names[row] for row in rows], rows, index, table, unsettled=index.unsettled)

    @classmethod
    def stale(cls, entry, index, listing):
        """Of a directory that differs from what its index says: `listing` is what is there now."""
        table = Table(index)
        names = table.names()
        row_of = dict(zip(names, range(len(names)))).get
        names = [name for name in listing if is_distribution(name)]
        return cls(entry, names, list(map(row_of, names)), index, table, listing)

    def settle(self, now):
        """Take the distributions that were young when the index was made for settled, if they have not
        changed and are not young any more: then `epcache refresh` would record just that."""
        for item, row in enumerate(self.rows):
            if row not in self._unsettled:
                continue
            age = now - self.table.newest_change(row)
            if age <= SETTLE_AFTER or age <= UNFINISHED_AFTER and not self._is_complete(item, row):
                return
            if not all(self.row(item, source) == row for source in (ENTRY_POINTS, METADATA)):
                return
            if self.table.top_level(row)[2] != "opaque" and self.row(item, TOP_LEVEL) != row:
                return
        self._unsettled = frozenset()
        self.cacheable = True

    def _is_complete(self, item, row):
        """Whether nothing is missing that an installer may still write."""
        if b"n" in self.table.flags(row):
            return False
        path = f"{self.entry}/{self.names[item]}"
        try:
            installer = stamp_of(posix.lstat(f"{path}/INSTALLER"))
        except NotADirectoryError:
            return True  # a single file
        except OSError:
            files = _stamp(f"{path}/installed-files.txt")
            return files is not None and files[3] > 0
        from ._completeness import is_finished

        return is_finished(installer, _stamp(f"{path}/RECORD"))

    def again(self):
        """The same, with nothing kept with it."""
        view = View.__new__(View)
        view.__dict__.update(self.__dict__, cache={})
        return view

    def stems(self):
        """The places of the distributions, by `stem`."""
        if self._stems is None:
            # For all names in one go, where no name has a slash: what `stem` says of each.
            ends = "/".join(self.names).lower().split("/") if self.names else ()
            joined = "/".join([name.rpartition(".")[0].partition("-")[0] for name in ends]).replace(".", "_")
            while "__" in joined:
                joined = joined.replace("__", "_")
            each = joined.split("/") if self.names else ()
            self._stems = stems = dict(zip(each, zip(range(len(each)))))
            if len(stems) < len(each):
                stems.clear()
                for item, one in enumerate(each):
                    stems[one] = (*stems.get(one, ()), item)
        return self._stems

    def grouped(self):
        """The places of all, those with one stem behind each other, as CPython from 3.10 on has it."""
        stems = self.stems()
        if len(stems) == len(self.names):
            return range(len(self.names))
        return [item for together in stems.values() for item in together]

    def has_own_keys(self):
        """Whether each distribution has a key of its own, told by the name of its directory."""
        stems = self.stems()
        # "_" is the stem of leading dots, too, which tell no key.
        plain = not {"", "_"} & stems.keys() and all(name.endswith(SUFFIXES) for name in self.names)
        return plain and len(stems) == len(self.names)

    def named(self, name):
        """The places of the distributions of that name."""
        return self.stems().get(normalized(name), ())

    def key(self, item):
        """What `entry_points()` compares two distributions by; empty where only the metadata has it."""
        name = self.names[item]
        if has_stem(name) and stem(name):
            return stem(name)
        row = self.row(item, METADATA)
        return "" if row is None else self.table.key(row)

    def row(self, item, source):
        """The row that describes this source of the distribution as it is on disk; None: ask the disk."""
        row = self.rows[item]
        if row is None:
            return None
        if self._listing is None and row not in self._unsettled:
            return row
        proofs = self._proofs.get(source)
        if proofs is None:
            if source == TOP_LEVEL and self._listing is not None:
                proofs = self._all_top_level()
            else:
                proofs = [None] * len(self.names)
            self._proofs[source] = proofs
        if proofs[item] is None:
            proofs[item] = self._proves(item, row, source)
            if self._listing is None and not proofs[item]:
                self.changed = self.changed or self.names[item]
        return row if proofs[item] else None

    def has_changed(self, row):
        """Whether a distribution is by now another than the one that the index has its entry points of."""
        name = self.names[self.rows.index(row)]
        itself, _, entry_points = self.table.stamps(row)
        return not (self._has(name, itself) and self._has_entry_points(name, entry_points))

    def prove_entry_points(self):
        """Prove for all at once that their entry points are as recorded: the loop that a stale index
        costs, so it goes without the steps in between."""
        if self._listing is None or ENTRY_POINTS in self._proofs or self.index is None:
            return
        proofs = [False] * len(self.names)
        stamps = self.table.all_stamps()
        lstat = posix.lstat
        try:
            # The kernel has less of a path to walk down.
            directory = posix.open(self.entry, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            self._proofs[ENTRY_POINTS] = proofs
            return
        for item, row in enumerate(self.rows):
            if row is None:
                continue
            # A file that has its stamp is the one that was read, whatever else its directory has got by
            # now; that there is none is told by the directory.
            recorded, _, others = stamps[row].partition(b"\t")
            file = others.rpartition(b"\t")[2]
            path = self.names[item]
            if file != b"-":
                path += "/entry_points.txt"
                recorded = file
            try:
                info = lstat(path, dir_fd=directory)
            except OSError:
                continue
            proofs[item] = recorded == b"%d %d %d %d" % (
                info.st_mtime_ns,
                info.st_ctime_ns,
                info.st_ino,
                info.st_size,
            )
        posix.close(directory)
        self._proofs[ENTRY_POINTS] = proofs

    def _proves(self, item, row, source):
        name = self.names[item]
        itself, metadata, entry_points = self.table.stamps(row)
        if self._itself[item] is None:
            self._itself[item] = self._has(name, itself)
        if not self._itself[item]:
            return False
        if source == ENTRY_POINTS:
            return self._has_entry_points(name, entry_points)
        if source == METADATA:
            return metadata == b"-" or self._has(f"{name}/{metadata_file(name)}", metadata)
        return self._proves_top_level(name, row)

    def _has_entry_points(self, name, recorded):
        return recorded == b"-" or self._has(f"{name}/entry_points.txt", recorded)

    def _proves_top_level(self, name, row):
        _, _, kind, names, _ = self.table.top_level(row)
        if kind == "opaque" or not self._has_name_files(name, row):
            return False
        if kind == "declared" or self._listing is None:
            return True
        # What was inferred is from files whose coming and going is seen in the directory alone.
        there = self.cache.setdefault("listing", frozenset(self._listing))
        return all(name.rstrip("/") in there for name in names) and not any(
            name.rstrip("/") in there for name in self.table.missing(row)
        )

    def _has_name_files(self, name, row):
        declared, listed, _, _, _ = self.table.top_level(row)
        return (declared == b"-" or self._has(f"{name}/top_level.txt", declared)) and (
            listed == b"-" or any(self._has(f"{name}/{file}", listed) for file in FILE_LISTS)
        )

    def _all_top_level(self):
        """For each distribution whether its importable names are as recorded.

        One that has gone or changed may have taken a file along that another lists as well. Where both
        have files in a directory, the other has to be looked at.
        """
        proofs = [
            row is not None and self._proves(item, row, TOP_LEVEL) for item, row in enumerate(self.rows)
        ]
        left = self._places_left(proofs)
        if left == set():
            return proofs
        for item, row in enumerate(self.rows):
            if proofs[item] and self.table.top_level(row)[2] == "inferred":
                proofs[item] = left is not None and left.isdisjoint(self.table.places(row))
        return proofs

    def _places_left(self, proofs):
        """Where distributions that have gone or changed had files; None if it can be anywhere."""
        item_of = dict(zip(self.rows, range(len(self.rows))))
        left = set()
        for row in range(self.index.count):
            item = item_of.get(row)
            if item is not None and (
                proofs[item] or self._itself[item] and self._has_name_files(self.names[item], row)
            ):
                continue
            places = self.table.places(row)
            if places is None:
                return None
            left.update(places)
        return left

    def _has(self, path, recorded):
        try:
            info = posix.lstat(f"{self.entry}/{path}")
        except OSError:
            return False
        return recorded == b"%d %d %d %d" % (
            info.st_mtime_ns,
            info.st_ctime_ns,
            info.st_ino,
            info.st_size,
        )
