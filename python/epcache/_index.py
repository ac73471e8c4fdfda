"""Reading and checking one index file (docs/index-format.md).

An index is never written to once it is in place, only replaced by another file. All that is read
through one descriptor therefore belongs together, whenever it is read.
"""

import posix
import sys

_MAGIC = b"epcache-index "
_VERSION = b"1\n"
_PREFIX = 51  # the magic line and the line of lengths
_END = b"end\n"
_FIRST_READ = 8192  # holds the header of a site directory with some 200 groups
_PRIME = 1073741789

# A file must not be opened through a link, and a FIFO must not make us wait.
_FLAGS = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOFOLLOW | posix.O_NOCTTY


class Unusable(Exception):
    """The file must not be used. The text continues a sentence that begins with its path."""

    def __init__(self, text, path, site):
        super().__init__(text)
        self.path = path
        self.site = site


def _checked(method):
    # What passes the checks can still have been written by a faulty program. Then some number is
    # not one, or leads nowhere; whatever that raises, the file is no good.
    def call(self, *arguments):
        try:
            return method(self, *arguments)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError):
            raise self._unusable() from None

    return call


class Index:
    """An index file, opened; `read_header` comes first."""

    def __init__(self, path, site):
        self.path = path
        self.site_directory = site
        # What `_origin` has found of the distributions, by row.
        self.distributions = {}
        self._fd = posix.open(path, _FLAGS)
        self.file = posix.fstat(self._fd)
        self._whole = self._order = self._table = self._stamps = None

    def _unusable(self, why="is damaged"):
        return Unusable(why, self.path, self.site_directory)

    def close(self):
        """Release the file. What has been read of it remains."""
        if self._fd >= 0:
            posix.close(self._fd)
            self._fd = -1

    @property
    def identity(self):
        """What tells this file from one that replaces it."""
        file = self.file
        return file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns

    @_checked
    def read_header(self):
        """Check the header and take in all of it but the groups.

        Sets `site` (the stamp), `settled`, `count`, and the sets of rows `unsettled`, `duplicates`
        and `opaque`.
        """
        size = self.file.st_size
        head = posix.pread(self._fd, _FIRST_READ, 0)
        if not head:
            raise self._unusable("is empty, since it could not be brought up to date")
        if not head.startswith(_MAGIC):
            raise self._unusable("is not an index")
        if head[len(_MAGIC) : len(_MAGIC) + len(_VERSION)] != _VERSION:
            raise self._unusable("is of a version that this reader does not know")
        line = head[16:_PREFIX]
        total, length, check = line[:12], line[13:23], line[24:34]
        if not (total.isdigit() and length.isdigit() and check.isdigit() and line[12::11] == b"  \n"):
            raise self._unusable()
        length = int(length)
        if int(total) != size or posix.pread(self._fd, 4, size - 4) != _END:
            raise self._unusable("is incomplete")
        if not _PREFIX < length <= size - len(_END):
            raise self._unusable()
        if length > len(head):
            head = self._read(0, length)
        self._head = head = head[:length]
        self._verify(head[_PREFIX:], int(check))
        if head[-1:] != b"\n":
            raise self._unusable()

        groups = head.index(b"\ngroups\t", _PREFIX)
        self._groups_at = head.index(b"\n", groups + 1)
        self._segments = {}
        rows = {}
        for line in head[_PREFIX:groups].split(b"\n"):
            key, _, rest = line.partition(b"\t")
            if key == b"segment":
                name, _, place = rest.partition(b"\t")
                self._segments[name] = place
            else:
                rows[key] = rest
        self.site = tuple(map(int, rows[b"site"].split(b"\t")))
        self.settled = rows[b"settled"] == b"yes"
        self.count = int(rows[b"count"])
        self.unsettled = self._set_of_rows(rows.get(b"unsettled"))
        self.duplicates = self._set_of_rows(rows.get(b"duplicates"))
        self.opaque = self._set_of_rows(rows.get(b"opaque"))

    def _set_of_rows(self, text):
        if text is None:
            return frozenset()
        rows = frozenset(map(int, text.split(b" ")))
        if min(rows) < 0 or max(rows) >= self.count:
            raise self._unusable()
        return rows

    def _read(self, offset, size):
        if self._whole is not None:
            data = self._whole[offset : offset + size]
        else:
            data = posix.pread(self._fd, size, offset)
        if len(data) != size:
            raise self._unusable()
        return data

    def _verify(self, data, check):
        if int.from_bytes(data, "little") % _PRIME != check:
            raise self._unusable()

    def _segment(self, place):
        offset, size, check = map(int, place.split(b"\t"))
        start = len(self._head) + offset
        if offset < 0 or size < 0 or start + size > self.file.st_size - len(_END):
            raise self._unusable()
        data = self._read(start, size)
        self._verify(data, check)
        return data

    def _lines(self, data):
        lines = data.split(b"\n")
        if lines.pop() != b"":
            raise self._unusable()
        return lines

    @_checked
    def records(self, group):
        """The entry points as tuples (row, place, group, name, value), in the order of CPython.

        That is the order of the distributions in the listing of the directory, and for each of
        them that of its file. With `group` None those of all groups, and the whole file is checked.
        """
        found = []
        if group is None:
            self._whole = self._read(0, self.file.st_size)
            for place in self._segments.values():
                self._segment(place)
            for line in self._lines(self._head[self._groups_at + 1 :]):
                place, _, name = line.rpartition(b"\t")
                self._add(place, name.decode(), found)
        else:
            place = self._find(group)
            if place is not None:
                self._add(place, group, found)
        if len(found) > 1 and (group is None or found[0][0] != found[-1][0]):
            order = self._positions()
            found.sort(key=lambda record: (order[8 * record[0] : 8 * record[0] + 7], record[1]))
        return found

    def _find(self, group):
        try:
            name = group.encode()
        except UnicodeEncodeError:
            return None
        if b"\n" in name or b"\t" in name:
            return None
        end = self._head.find(b"\t" + name + b"\n", self._groups_at)
        if end < 0:
            return None
        return self._head[self._head.rindex(b"\n", 0, end) + 1 : end]

    def _add(self, place, group, found):
        lines = self._segment(place).decode().split("\n")
        if lines.pop() != "":
            raise self._unusable()
        count = self.count
        for line in lines:
            row, place, name, value = line.split("\t")
            row = int(row)
            if row >= count:
                raise self._unusable()
            found.append((row, int(place), group, name, value))

    def _positions(self):
        # Seven digits and a newline a row: equally long, so they compare as bytes.
        if self._order is None:
            self._order = self._segment(self._segments[b"order"])
            if len(self._order) != 8 * self.count:
                raise self._unusable()
        return self._order

    @_checked
    def position(self, row):
        """The place of a distribution in the listing; to be compared with others of this index."""
        return self._positions()[8 * row : 8 * row + 7]

    def _rows(self):
        if self._table is None:
            self._table = self._lines(self._segment(self._segments[b"distributions"]))
            if len(self._table) != self.count:
                raise self._unusable()
        return self._table

    @_checked
    def take_table(self, other):
        """Take over the table of the same file, opened again."""
        self._table = other._rows()

    @_checked
    def key(self, row):
        """The name by which two distributions are the same; empty where the index can't tell."""
        return self._rows()[row].split(b"\t", 3)[2].decode()

    @_checked
    def keys(self):
        """The keys of all distributions, by row."""
        return [line.split(b"\t", 3)[2].decode() for line in self._rows()]

    @_checked
    def directory(self, row):
        """The name of the ``.dist-info`` or ``.egg-info``, as `os.listdir` gives it."""
        first, *rest = self._rows()[row].split(b"\t", 1)[0].split(b"%")
        name = first + b"".join([bytes((int(part[:2], 16),)) + part[2:] for part in rest])
        return name.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())

    @_checked
    def stamps(self, row):
        """The recorded stamps: of the distribution, its metadata file and its entry_points.txt."""
        if self._stamps is None:
            self._stamps = self._lines(self._segment(self._segments[b"stamps"]))
            if len(self._stamps) != self.count:
                raise self._unusable()
        fields = self._stamps[row].split(b"\t")
        itself, metadata, entry_points = [
            None if field == b"-" else tuple(map(int, field.split(b" "))) for field in fields
        ]
        return itself, metadata, entry_points
