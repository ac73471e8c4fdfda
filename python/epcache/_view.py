"""The distributions of one site directory, and which of them the index describes as they are.

There are three proofs. The *site proof*: the directory has the stamp that the index records. Then all
of the index is right. Otherwise the *distribution proof*: a distribution is answered from the index if
its directory and the file in question have the recorded stamps. A file that was missing when the index
was made can't have been added without a change of the directory's stamp. Last the *content proof*: the
file is read, and has the content from which the index was made (see `_contents`). Everything else is
answered from the disk.
"""

import posix

from . import Unusable, stamp_of
from ._limits import SETTLE_AFTER, UNFINISHED_AFTER
from ._names import FILE_LISTS, SUFFIXES, has_stem, is_distribution, metadata_file, normalized, stem, stems
from ._table import ENTRY_POINTS, METADATA, TOP_LEVEL, Table


def _contents():
    """The module of that name; None where the package has been removed while a program runs."""
    try:
        from . import _contents
    except ImportError:
        return None
    return _contents


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
        self.stamp = None  # of the directory; a view that is kept is right while it stays the same
        self.warning = None  # text, to be repeated whenever the view is used
        self.cache = {}  # what others keep with the view
        self.doubt = (
            None  # text, once a distribution is found to differ from a row that had no proof of its own
        )

    @classmethod
    def listed(cls, entry, listing):
        """The view of a directory without an index."""
        names = [name for name in listing if is_distribution(name)]
        return cls(entry, names, [None] * len(names), listing=listing)

    @classmethod
    def indexed(cls, entry, index):
        """The view of a directory whose index has the site proof."""
        table = Table(index)
        names = table.names()
        places = index.positions().split(b"\n")
        rows = sorted(range(len(names)), key=places.__getitem__)
        return cls(entry, [names[row] for row in rows], rows, index, table, unsettled=index.unsettled)

    @classmethod
    def stale(cls, entry, index, listing):
        """The view of a directory that differs from its index; `listing` is what is there now."""
        table = Table(index)
        names = table.names()
        row_of = dict(zip(names, range(len(names)))).get
        names = [name for name in listing if is_distribution(name)]
        return cls(entry, names, list(map(row_of, names)), index, table, listing)

    def settle(self, now):
        """Stop comparing the stamps of distributions that were too young when the index was made.

        Only if none of them has changed, and all are old enough by now: `epcache refresh` would then
        record the same. One without a name may be filled at any time, and is compared always.
        """
        for item, row in enumerate(self.rows):
            if row not in self._unsettled:
                continue
            if b"n" in self.table.flags(row):
                return
            age = now - self.table.newest_change(row)
            if age <= SETTLE_AFTER or age <= UNFINISHED_AFTER and not self._is_complete(item, row):
                return
            sources = [ENTRY_POINTS, METADATA]
            if self.table.top_level(row)[2] != "opaque":
                sources.append(TOP_LEVEL)
            if not all(self._has_stamps(item, row, source) for source in sources):
                return
        self._unsettled = frozenset()
        self.cacheable = True

    def _is_complete(self, item, row):
        """Whether nothing is missing that an installer may still write."""
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
        """A copy with an empty cache."""
        view = View.__new__(View)
        view.__dict__.update(self.__dict__, cache={})
        return view

    def stems(self):
        """The places of the distributions, by the stem of their names."""
        if self._stems is None:
            each = stems(self.names)
            self._stems = found = dict(zip(each, zip(range(len(each)))))
            if len(found) < len(each):
                found.clear()
                for item, one in enumerate(each):
                    found[one] = (*found.get(one, ()), item)
        return self._stems

    def grouped(self):
        """The places of all, those with the same stem together, as CPython from 3.10 on has them."""
        stems = self.stems()
        if len(stems) == len(self.names):
            return range(len(self.names))
        return [item for together in stems.values() for item in together]

    def has_own_keys(self):
        """Whether the directories' names give every distribution a key of its own."""
        stems = self.stems()
        # "_" may come from leading dots, which are no key.
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
        """The row that describes this source of a distribution as it is now; None: read the disk."""
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
            if self._listing is None and not proofs[item] and self.doubt is None:
                self.doubt = f"{self.names[item]!r} was not settled when the index {self.index.path} was made, and has changed"
        return row if proofs[item] else None

    def row_now(self, item):
        """The row that describes the metadata of a distribution at this moment; None: read the disk.

        Distributions are kept, and what is on the disk may have changed since they were found.
        """
        row = self.rows[item]
        if row is None:
            return None
        if self.stamp is not None:
            try:
                if stamp_of(posix.stat(self.entry)) == self.stamp:
                    return self.row(item, METADATA)
            except OSError:
                return None
        name = self.names[item]
        itself, metadata, _ = self.table.stamps(row)
        if self._has(name, itself) and self._has_metadata(name, metadata):
            return row
        return row if self._has_content(item, row, METADATA) else None

    def compare(self, item, declared, recorded):
        """Set `doubt` if a distribution has not changed, and its file has other entry points than the index."""
        if declared != recorded and not self.has_changed(self.rows[item]):
            self.doubt = f"the index {self.index.path} has other entry points than {self.names[item]!r}"

    def has_changed(self, row):
        """Whether the entry points of a distribution have changed since the index was made."""
        name = self.names[self.rows.index(row)]
        itself, _, entry_points = self.table.stamps(row)
        return not (self._has(name, itself) and self._has_entry_points(name, entry_points))

    def prove_entry_points(self):
        """Prove the entry points of all distributions at once.

        This loop is most of the cost of a stale index, so it calls none of the methods below.
        """
        if self._listing is None or ENTRY_POINTS in self._proofs or self.index is None:
            return
        contents = _contents()
        proofs = [False] * len(self.names)
        stamps = self.table.all_stamps()
        recorded_contents = self.table.all_contents()
        by_content = False
        lstat = posix.lstat
        try:
            # Shorter paths take the kernel less time.
            directory = posix.open(self.entry, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            self._proofs[ENTRY_POINTS] = proofs
            return
        for item, row in enumerate(self.rows):
            if row is None:
                continue
            # A file with the recorded stamp is the one that was read, whatever else has changed in its
            # directory. Where there was none, the directory's own stamp shows that there is still none.
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
            if not proofs[item] and contents is not None:
                content = recorded_contents[row].partition(b"\t")[2]
                proofs[item] = contents.has_entry_points(self.names[item], content, file == b"-", directory)
                by_content = by_content or proofs[item]
        if by_content:
            self._will_change_unseen()
        posix.close(directory)
        self._proofs[ENTRY_POINTS] = proofs

    def _proves(self, item, row, source):
        return self._has_stamps(item, row, source) or self._has_content(item, row, source)

    def _has_content(self, item, row, source):
        """Whether the file in question has the content that the index was made from."""
        contents = None if source == TOP_LEVEL else _contents()
        if contents is None:
            return False
        name = self.names[item]
        path = f"{self.entry or '.'}/{name}"
        _, metadata, entry_points = self.table.stamps(row)
        of_metadata, of_entry_points = self.table.contents(row)
        if source == METADATA:
            found = contents.has_metadata(path, name, of_metadata, metadata == b"-")
        else:
            found = contents.has_entry_points(path, of_entry_points, entry_points == b"-")
        if found:
            self._will_change_unseen()
        return found

    def _will_change_unseen(self):
        """Do not keep this view: the content proof holds at this moment, and no stamp shows a later change."""
        self.stamp = None

    def _has_stamps(self, item, row, source):
        name = self.names[item]
        itself, metadata, entry_points = self.table.stamps(row)
        if self._itself[item] is None:
            self._itself[item] = self._has(name, itself)
        if not self._itself[item]:
            return False
        if source == ENTRY_POINTS:
            return self._has_entry_points(name, entry_points)
        if source == METADATA:
            return self._has_metadata(name, metadata)
        return self._proves_top_level(name, row)

    def _has_metadata(self, name, recorded):
        return recorded == b"-" or self._has(f"{name}/{metadata_file(name)}", recorded)

    def _has_entry_points(self, name, recorded):
        return recorded == b"-" or self._has(f"{name}/entry_points.txt", recorded)

    def _proves_top_level(self, name, row):
        _, _, kind, names, _ = self.table.top_level(row)
        if kind == "opaque" or not self._has_name_files(name, row):
            return False
        if kind == "declared" or self._listing is None:
            return True
        # The names are those of files and directories in the site directory: are these still there?
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

        A distribution that was removed may have had a file that another one lists as well. So a
        distribution is not proven if it has files where a removed or changed one had some.
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
        """Where removed or changed distributions had files; None if that can be anywhere."""
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


def view_of(index):
    """The `View` of an index that gave an answer; None if its file has been replaced."""
    if not hasattr(index, "view"):
        try:
            if not index.take_whole():
                return None
            index.view = View.indexed(index.site_directory, index)
        except Unusable:
            return None
    return index.view
