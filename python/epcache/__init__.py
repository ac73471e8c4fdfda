"""Metadata of installed distributions, from an index where that is provably right.

The functions are those of ``importlib.metadata``. Where a site directory has an index (``epcache
refresh``) that describes what is on disk now, the answer comes from it and costs one small read.
Where the index is stale, only what has changed is read from the disk; where there is none, all of it.
``accelerate()`` gives the same speed to programs that call ``importlib.metadata`` itself.

This file alone answers in the *plain case*: one index, fresh, and no distribution of the same name
elsewhere on the path. It imports nothing that a bare interpreter does not have. The reason is cost:
to import a module of a package takes four to seven system calls, and the whole answer takes about as
many. Every other case is left to `_discovery`.
"""

import posix
import sys
import time

__all__ = [
    "EntryPoint",
    "EntryPoints",
    "PackageNotFoundError",
    "StaleIndexWarning",
    "Watcher",
    "accelerate",
    "decelerate",
    "distribution",
    "distributions",
    "entry_points",
    "files",
    "packages_distributions",
    "requires",
    "version",
]


# Only type checkers see this. Annotations are strings, so that nothing is imported for them.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.metadata import Distribution
    from typing import Any

    from ._api import (
        PackageNotFoundError,
        distribution,
        distributions,
        files,
        packages_distributions,
        requires,
    )
    from ._switches import accelerate, decelerate
    from ._warning import StaleIndexWarning
    from .watcher import Watcher


def entry_points(**params: "Any") -> "EntryPoints":
    """Return the entry points of everything installed, as an `EntryPoints`.

    Keyword arguments select, as for `EntryPoints.select`: usually ``group`` and ``name``; each is
    compared for equality with the attribute of that name.

    Of several distributions with the same normalized name only the first on ``sys.path`` counts,
    even if it has no entry points. What a distribution's ``entry_points.txt`` makes
    ``importlib.metadata`` raise, this raises too.
    """
    group, name = asked_for(params)
    if group is not None:
        del params["group"]
    begun = []
    found = _plain_entry_points(group, name, begun)
    if found is None:
        from ._light import entry_points_of

        found = entry_points_of(group, name, begun)
    return EntryPoints(found).select(**params)


def version(distribution_name: str) -> str:
    """Return the version of a distribution, as its metadata has it.

    Raises `PackageNotFoundError` if it is not installed.
    """
    begun = []
    if type(distribution_name) is str and distribution_name:
        found = plain_version(distribution_name, begun)
        if found:
            return found[0]
    from ._light import version_of

    return version_of(distribution_name, begun)


def asked_for(params):
    """The group and the name of the entry points that are enough to select by `params`; None for all."""
    # With these parameters only strings are compared, so an entry point outside the group can neither
    # match nor raise. Any other parameter needs all entry points, in the order in which CPython would
    # compare them.
    group, name = params.get("group"), params.get("name")
    if type(group) is not str or not params.keys() <= {"group", "name", "value"}:
        return None, None
    return group, name if type(name) is str else None


_LAZY = {
    "PackageNotFoundError": "_api",
    "StaleIndexWarning": "_warning",
    "Watcher": "watcher",
    "accelerate": "_switches",
    "decelerate": "_switches",
    "distribution": "_api",
    "distributions": "_api",
    "files": "_api",
    "packages_distributions": "_api",
    "requires": "_api",
}


if not TYPE_CHECKING:

    def __getattr__(name):
        module = _LAZY.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = f"{__name__}.{module}"
        __import__(module)  # without importlib, which may not have been imported
        found = getattr(sys.modules[module], name)
        globals()[name] = found
        return found


# --- what an entry point is ---------------------------------------------------------------------


class EntryPoint:
    """A named object that a distribution offers in a group.

    It behaves as that of CPython 3.12, on every version. `dist` is looked up when it is used.
    """

    name: str
    value: str
    group: str
    _index: "Any"  # an `Index` or a `View`
    _row: int  # in the index, or the place in the view

    def __init__(self, name: str, value: str, group: str) -> None:
        self.__dict__.update(name=name, value=value, group=group)

    @classmethod
    def _of(cls, name, value, group, index, row):
        """An entry point whose distribution is looked up in the index when it is used."""
        self = cls.__new__(cls)
        attributes = self.__dict__
        attributes["name"] = name
        attributes["value"] = value
        attributes["group"] = group
        attributes["_index"] = index
        attributes["_row"] = row
        return self

    def _at(self, view, item):
        """Set the distribution: the one in that place of a `View`. Returns self."""
        self.__dict__.update(_index=view, _row=item)
        return self

    def _for(self, dist):
        """Set the distribution. Returns self."""
        self.__dict__["_dist"] = dist
        return self

    @property  # type: ignore[misc]
    def __class__(self):
        # Makes isinstance() hold for the class of importlib.metadata too, without importing that. Not
        # where that is a tuple, which this is not.
        native = getattr(sys.modules.get("importlib.metadata"), "EntryPoint", tuple)
        return EntryPoint if issubclass(native, tuple) else native

    @property
    def dist(self) -> "Distribution | None":
        """The `importlib.metadata.Distribution` that declares this.

        None if this object was made by hand, or if the distribution has been removed since.
        """
        attributes = self.__dict__
        if "_dist" not in attributes:
            found = None
            if "_index" in attributes:
                from ._origin import distribution_of

                found = distribution_of(self)
            attributes["_dist"] = found
        return attributes["_dist"]

    def _match(self):
        from ._reference import match

        return match(self.value)

    @property
    def module(self) -> str:
        """The module that `load` imports."""
        return self._match().group("module")

    @property
    def attr(self) -> "str | None":
        """The attribute of the module that `load` returns, dotted; None for the module itself."""
        return self._match().group("attr")

    @property
    def extras(self) -> "list[str]":
        """The names between the brackets at the end of the value."""
        from ._reference import words

        return words(self._match().group("extras") or "")

    def load(self) -> "Any":
        """Import the module and return it, or the attribute of it that the value names."""
        from importlib import import_module

        match = self._match()
        loaded = import_module(match.group("module"))
        for name in (match.group("attr") or "").split("."):
            if name:
                loaded = getattr(loaded, name)
        return loaded

    def matches(self, **params: "Any") -> bool:
        """Whether each attribute named by a keyword equals the value given."""
        for param, wanted in params.items():
            if not (wanted == getattr(self, param)):
                return False
        return True

    def _key(self):
        return self.name, self.value, self.group

    # Comparison goes by `_key`, so that entry points equal those of importlib.metadata.
    def __lt__(self, other: object) -> bool:
        if not hasattr(other, "_key"):
            return NotImplemented
        return self._key() < other._key()

    def __eq__(self, other: object) -> bool:
        if not hasattr(other, "_key"):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __setattr__(self, name, value):
        raise AttributeError("EntryPoint objects are immutable.")

    def __delattr__(self, name):
        raise AttributeError("EntryPoint objects are immutable.")

    def __repr__(self):
        return f"EntryPoint(name={self.name!r}, value={self.value!r}, group={self.group!r})"

    def __reduce__(self):
        return _restore, (type(self), self.name, self.value, self.group, self.dist)


def _restore(cls, name, value, group, dist):
    return cls(name, value, group)._for(dist)


class EntryPoints(tuple[EntryPoint, ...]):
    """An immutable sequence of entry points."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self):
        # As for EntryPoint. Before 3.12 the class of importlib.metadata was a list, which this is not.
        native = getattr(sys.modules.get("importlib.metadata"), "EntryPoints", list)
        return native if issubclass(native, tuple) else EntryPoints

    def __getitem__(self, name: str) -> EntryPoint:  # type: ignore[override]
        """The first entry point of that name; KeyError if there is none."""
        for entry_point in self:
            if entry_point.matches(name=name):
                return entry_point
        raise KeyError(name)

    def select(self, **params: "Any") -> "EntryPoints":
        """Those that match the given attributes (typically ``group`` and ``name``)."""
        if not params:
            return EntryPoints(self)
        return EntryPoints([ep for ep in self if ep.matches(**params)])

    @property
    def names(self) -> "set[str]":
        """The set of all names."""
        return {ep.name for ep in self}

    @property
    def groups(self) -> "set[str]":
        """The set of all groups."""
        return {ep.group for ep in self}

    def __reduce__(self):
        return EntryPoints, (tuple(self),)


# --- names --------------------------------------------------------------------------------------

SUFFIXES = (".dist-info", ".egg-info")  # of the names of distributions, in any case


def normalized(name):
    """A distribution's name in the form in which names are compared: PEP 503, with underscores."""
    name = name.lower().replace("-", "_")
    if "." in name or "__" in name:
        name = name.replace(".", "_")
        while "__" in name:
            name = name.replace("__", "_")
    return name


def stem(file_name):
    """The normalized name in a directory's name: `importlib.metadata` searches and groups by it."""
    return normalized(file_name.lower().rpartition(".")[0].partition("-")[0])


def stem39(file_name):
    """The same for CPython 3.9, which compares it with a name that has underscores for hyphens."""
    return file_name.lower().rpartition(".")[0].partition("-")[0]


# --- the index file (docs/reference/index-format.md) ------------------------------------------------------
#
# An index in its place is never written to, only replaced by another file. So everything that is read
# through one descriptor belongs together, whenever it is read.

_MAGIC = b"epcache-index "
_VERSION = b"1\n"
_PREFIX = 51  # the magic line and the line of lengths
_END = b"end\n"
_FIRST_READ = 8192  # holds the header of a site directory with some 200 groups
_READ_AHEAD = 1 << 20  # bytes
_PRIME = 1073741789  # of the checksums, which detect damage
HASH_PRIME = (1 << 60) - 93  # of the hashes, which prove that a file or a listing is the same
BLOCK = 3840  # bytes that are added to a checksum at once, so many that it is fastest
_FACTOR = pow(256, BLOCK, _PRIME)
_LONGEST_PATH = 4000  # bytes; a cache can't mirror a longer path, since the kernel's limit is 4096

# An index beyond these limits is damaged, and none is written.
INDEX_SIZE = 256 << 20  # bytes
HEADER_SIZE = 8 << 20  # bytes
WITHOUT_LINES = 32  # lines
# A file system may compress an index, but not by so much. Files of less than 1 MiB may be stored elsewhere
# than in blocks.
_LARGEST_WITHOUT_BLOCKS = 1 << 20
_COMPRESSED_AT_MOST = 64

# Links are not followed, and a FIFO does not block.
_FLAGS = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOFOLLOW | posix.O_NOCTTY

SYSTEM_CACHE = "/var/cache/epcache"
# What an image-based system replaces as a whole, and where in it the indexes of its own site directories are.
USR = "/usr"
_IMAGE = "/lib/epcache/index"
SYSTEM_USER = "epcache"


NO_MEMORY = "takes more memory than there is"
_OF_ANOTHER = "belongs to user %d, who is not trusted here"


def checksum_of(data, prime=_PRIME, factor=_FACTOR):
    """The checksum of some bytes, as an index has it: their little-endian number, modulo a prime."""
    # In blocks, since to divide one large number takes four times as long as to multiply these.
    value = 0
    for start in range((len(data) - 1) // BLOCK * BLOCK, -1, -BLOCK):
        value = value * factor + int.from_bytes(data[start : start + BLOCK], "little")
    return value % prime


class Unusable(Exception):
    """The file must not be used. The text continues a sentence that begins with its path."""

    def __init__(self, text, path, site):
        super().__init__(text)
        self.path = path
        self.site = site


def checked(method):
    """Make a method raise `Unusable` for whatever the content of a file makes it raise."""

    # A file with right checksums can still have been written by a faulty program. Whatever its content
    # raises here means that it can't be used.
    def call(self, *arguments):
        try:
            return method(self, *arguments)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError):
            raise self.unusable() from None
        except (MemoryError, RecursionError):
            raise self.unusable(NO_MEMORY) from None

    return call


def stamp_of(info):
    """The stamp of a file: mtime, ctime (ns), inode, size. Stamps are compared for equality only."""
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size


def identity_of(info):
    """What differs between a file and another that has replaced it."""
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


class Index:
    """An index file, opened; `read_header` comes first."""

    foreign = False  # whether it belongs to neither root nor this user
    untrusted = False  # whether its owner, the user `epcache`, can't change the distributions themselves
    cacheable = True  # whether every later change shows in the directory's stamp
    seen = None  # the stamp that the directory has in this copy of a sealed tree
    ordered = True  # whether CPython finds the distributions in the order of `positions`

    def __init__(self, path, site):
        self.path = path
        self.site_directory = site
        self._fd = posix.open(path, _FLAGS)
        self.file = posix.fstat(self._fd)
        self.identity = identity_of(self.file)
        self._whole = self._order = self._rows = None

    def unusable(self, why="is damaged"):
        return Unusable(why, self.path, self.site_directory)

    def close(self):
        """Release the file. What has been read of it remains."""
        if self._fd >= 0:
            posix.close(self._fd)
            self._fd = -1

    @checked
    def read_header(self):
        """Check the header and parse all of it but the groups.

        Sets `site` (the stamp), `settled`, `count`, the sets of rows `unsettled`, `duplicates` and
        `opaque`, `sealed` (see `_sealed`), and `without`: by path the stamps of directories that hold
        no distributions.
        """
        size = self.file.st_size
        if size > INDEX_SIZE:
            raise self.unusable("is larger than %d MiB" % (INDEX_SIZE >> 20))
        if size <= _READ_AHEAD:
            # All of it with the first request to a server, rather than each part when it is needed.
            posix.posix_fadvise(self._fd, 0, size, posix.POSIX_FADV_WILLNEED)
        head = posix.pread(self._fd, _FIRST_READ, 0)
        if not head:
            raise self.unusable("is empty, since it could not be brought up to date")
        if not head.startswith(_MAGIC):
            raise self.unusable("is not an index")
        if head[len(_MAGIC) : len(_MAGIC) + len(_VERSION)] != _VERSION:
            raise self.unusable("is of a version that this reader does not know")
        line = head[16:_PREFIX]
        total, length, checksum = line[:12], line[13:23], line[24:34]
        if not (total.isdigit() and length.isdigit() and checksum.isdigit() and line[12::11] == b"  \n"):
            raise self.unusable()
        length = int(length)
        if int(total) != size or posix.pread(self._fd, 4, size - 4) != _END:
            raise self.unusable("is incomplete")
        if not _PREFIX < length <= min(size - len(_END), HEADER_SIZE):
            raise self.unusable()
        if length > len(head):
            head = self._read(0, length)
        self._head = head = head[:length]
        self._verify(head[_PREFIX:], int(checksum))
        if head[-1:] != b"\n":
            raise self.unusable()

        groups = head.index(b"\ngroups\t", _PREFIX)
        if head.count(b"\nwithout\t", 0, groups) > WITHOUT_LINES:
            raise self.unusable()
        self._groups_at = head.index(b"\n", groups + 1)
        self._segments = {}
        self.without = {}
        rows = {}
        for line in head[_PREFIX:groups].split(b"\n"):
            key, _, rest = line.partition(b"\t")
            if key == b"segment":
                name, _, place = rest.partition(b"\t")
                self._segments[name] = place
            elif key == b"without":
                stamp, _, path = rest.partition(b"\t")
                self.without[unescaped(path)] = tuple(map(int, stamp.split(b" ")))
            else:
                rows[key] = rest
        self.site = tuple(map(int, rows[b"site"].split(b"\t")))
        self.settled = rows[b"settled"] == b"yes"
        self.count = int(rows[b"count"])
        self.unsettled = self._set_of_rows(rows.get(b"unsettled"))
        self.duplicates = self._set_of_rows(rows.get(b"duplicates"))
        self.opaque = self._set_of_rows(rows.get(b"opaque"))
        self.sealed = rows.get(b"sealed")

    def has_witnesses(self):
        """Whether the proof of a sealed index needs files outside of the directory."""
        return self.sealed is not None and b"/" in self.sealed

    def _set_of_rows(self, text):
        if text is None:
            return frozenset()
        rows = frozenset(map(int, text.split(b" ")))
        if min(rows) < 0 or max(rows) >= self.count:
            raise self.unusable()
        return rows

    def take_whole(self):
        """Read the whole file into memory, which all further reads use.

        False if the file has been replaced.
        """
        if self._whole is None:
            # A closed file is opened again. (The identity of an open one is not compared: a rename over
            # it changes its ctime.)
            again = -1
            try:
                if self._fd < 0:
                    again = posix.open(self.path, _FLAGS)
                    if identity_of(posix.fstat(again)) != self.identity:
                        return False
                whole = posix.pread(max(self._fd, again), self.file.st_size, 0)
            except OSError:
                return False
            except MemoryError:
                raise self.unusable(NO_MEMORY) from None
            finally:
                if again >= 0:
                    posix.close(again)
            if len(whole) != self.file.st_size or not whole.startswith(self._head):
                return False
            self._whole = whole
        return True

    def _read(self, offset, size):
        if self._fd >= 0 and self._whole is None:
            data = posix.pread(self._fd, size, offset)
        elif self.take_whole():
            data = self._whole[offset : offset + size]
        else:
            raise self.unusable("has been replaced")
        if len(data) != size:
            raise self.unusable()
        return data

    def _verify(self, data, checksum):
        if checksum_of(data) != checksum:
            raise self.unusable()

    def _placed(self, place):
        offset, size, checksum = map(int, place.split(b"\t"))
        start = len(self._head) + offset
        if offset < 0 or size < 0 or start + size > self.file.st_size - len(_END):
            raise self.unusable()
        data = self._read(start, size)
        self._verify(data, checksum)
        return data

    @checked
    def segment(self, name):
        """The bytes of a segment."""
        return self._placed(self._segments[name])

    @checked
    def records(self, group):
        """The entry points as tuples (row, place, group, name, value), in the order of CPython.

        Distributions come in the order of the directory's listing, and the entry points of each in
        that of its file. With `group` None those of all groups, and the whole file is checked.
        """
        if group is None:
            self._whole = self._read(0, self.file.st_size)
            self._must_fit(self._segments.values())
            for place in self._segments.values():
                self._placed(place)
            found = self.unordered()
        else:
            found = []
            place = self._find(group)
            if place is not None:
                self._add(place, group, found)
        if len(found) > 1 and (group is None or found[0][0] != found[-1][0]):
            order = self.positions()
            found.sort(key=lambda record: (order[8 * record[0] : 8 * record[0] + 7], record[1]))
        return found

    @checked
    def unordered(self):
        """The records of all groups, in the order of the index."""
        found = []
        lines = self._head[self._groups_at + 1 : -1].split(b"\n")
        places = [line.rpartition(b"\t") for line in lines if line]
        self._must_fit([place for place, _, _ in places])
        for place, _, name in places:
            self._add(place, name.decode(), found)
        return found

    def _must_fit(self, places):
        # Thousands of groups in the same place could take more memory than there is.
        if sum([int(place.split(b"\t")[1]) for place in places]) > self.file.st_size:
            raise self.unusable()

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
        # All lines at once, which is faster than line by line: four fields and an end each.
        fields = self._placed(place).decode().replace("\n", "\t\n\t").split("\t")
        if fields.pop() != "" or len(fields) % 5 or fields[4::5] != ["\n"] * (len(fields) // 5):
            raise self.unusable()
        rows = list(map(int, fields[::5]))
        if rows and max(rows) >= self.count:
            raise self.unusable()
        found += zip(rows, map(int, fields[1::5]), [group] * len(rows), fields[2::5], fields[3::5])

    @checked
    def row_named(self, name, of39=False):
        """The fields of the distribution of that name; None if there is none. No two may have one name.

        The rule is that of CPython 3.9, or else that of later versions.
        """
        if self._rows is None:
            self._rows = b"\n" + self.segment(b"distributions")
            if self._rows.count(b"\n") != self.count + 1 or self._rows[-1:] != b"\n":
                raise self.unusable()
            self._lower = self._rows.lower()
            for suffix in (b".dist-info\t", b".egg-info\t"):
                # Then two may have one name, although the index does not say so.
                if self._rows.count(suffix) != self._lower.count(suffix):
                    raise NotPlain
        key = normalized(name)
        wanted = name.lower().replace("-", "_") if of39 else key
        if of39 and wanted.endswith((".dist", ".egg")):
            raise NotPlain  # 3.9 finds `foo.dist` in `foo.dist-info`, too
        if wanted.isascii() and wanted.isprintable() and "%" not in wanted:
            # Nearly all directories begin with the normalized name.
            start = self._lower.find(b"\n%s-" % wanted.encode())
            if start >= 0:
                return self._rows[start + 1 : self._rows.index(b"\n", start + 1)].split(b"\t")
            # The others are only looked at where one has the key.
            if not self.untrusted and b"\t%s\t" % key.encode() not in self._rows:
                return None
        stem_of = stem39 if of39 else stem
        for row in self._rows[1:-1].split(b"\n") if self.count else ():
            if stem_of(unescaped(row.partition(b"\t")[0])) == wanted:
                return row.split(b"\t")
        return None

    @checked
    def version_in(self, row):
        """The version in the fields of a row; None if the metadata has to be read."""
        directory, flags, _, _, version = row
        if self.untrusted and [version] != directory.rpartition(b".")[0].split(b"-")[1:2]:
            return None
        return None if b"m" in flags or b"v" in flags else version.decode()

    @checked
    def positions(self):
        """The place of each row in the directory's listing: seven digits and a newline.

        All are equally long, so that they can be compared as bytes.
        """
        if self._order is None:
            self._order = self._placed(self._segments[b"order"])
            if len(self._order) != 8 * self.count:
                raise self.unusable()
        return self._order

    def take_order(self, names, listing):
        """Take `positions` from a listing of the directory; False if it has other distributions.

        `names` are those of the distributions, by row.
        """
        places = dict(zip(listing, range(len(listing))))
        distinct = set(names)
        if not len(names) == len(distinct) == count_distributions(names) == count_distributions(listing):
            return False
        if distinct - places.keys():
            return False
        self._order = (b"%07d\n" * len(names)) % tuple(map(places.__getitem__, names))
        # With other names the order of CPython may differ from that of the listing; see `View.grouped`.
        self.ordered = all(name.endswith(SUFFIXES) and name[0] not in "-." for name in names)
        return True


def unescape(name):
    """Replace every ``%XX`` by its byte."""
    first, *rest = name.split(b"%")
    return first + b"".join([bytes((int(part[:2], 16),)) + part[2:] for part in rest])


def unescaped(name):
    """The name of a file, as `os.listdir` gives it, for what an index has."""
    if b"%" in name:
        name = unescape(name)
    if b"\0" in name:
        raise ValueError("NUL in a file name")
    return name.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def open_index(path, site, site_owner):
    """The index at `path` with its header read, or None if there is none.

    Raises `Unusable` for a file that is damaged or whose owner is not trusted.
    """
    try:
        index = Index(path, site)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        # If even stat() fails, nothing is known about the directory.
        try:
            posix.stat(path)
        except OSError:
            return None
        raise Unusable("can't be read by this user", path, site) from None
    except OSError as error:
        if len(path) > _LONGEST_PATH:
            return None
        raise Unusable(f"can't be opened ({error.strerror})", path, site) from None
    try:
        why = distrust(index, site_owner)
        if why:
            raise index.unusable(why)
        index.read_header()
    except BaseException:
        index.close()
        raise
    return index


def _has_more_writers(index):
    """Whether users may write the file who could not replace everything in the site directory as well."""
    site = index.site_directory
    if index.path != site + "/.epcache/index":
        return True
    file, directory = index.file, posix.stat(site)
    if directory.st_mode & 0o1000:  # sticky
        return True
    if file.st_mode & 0o020 and (directory.st_mode & 0o030 != 0o030 or file.st_gid != directory.st_gid):
        return True
    return bool(file.st_mode & 0o002) and directory.st_mode & 0o003 != 0o003


def distrust(index, site_owner):
    """Why the file must not be used, or None. Sets `foreign` and `untrusted`."""
    file = index.file
    if file.st_mode & 0o170000 != 0o100000:
        return "is not a regular file"
    if file.st_mode & 0o022 and _has_more_writers(index):
        return "may be written by others than its owner (mode %04o)" % (file.st_mode & 0o7777)
    owner = file.st_uid
    if owner and index.path.startswith(f"{USR}{_IMAGE}/"):
        return _OF_ANOTHER % owner
    index.foreign = owner != 0 and owner != posix.geteuid()
    if not index.foreign:
        return None
    if file.st_size > max(_LARGEST_WITHOUT_BLOCKS, file.st_blocks * 512 * _COMPRESSED_AT_MOST):
        return "is sparse"
    if owner == site_owner:
        return None
    # That user serves all others. An attacker who has taken it over must not choose what they run, so it is believed
    # for root's directories alone, and only as far as `_confirm` says.
    index.untrusted = True
    if site_owner == 0 and index.path.startswith(SYSTEM_CACHE + "/") and owner == _uid_of_system_user():
        return None
    return _OF_ANOTHER % owner


_system_uid = None


def _uid_of_system_user():
    global _system_uid
    if _system_uid is None:
        import pwd

        try:
            account = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            return None
        # An account that can log in may be a person's, who happens to have that name.
        if not account.pw_shell.endswith(("/nologin", "/false")):
            return None
        _system_uid = account.pw_uid
    return _system_uid


def environment(name):
    """A variable of the environment, or None. Does not import `os`."""
    os = sys.modules.get("os")
    if os is not None:
        return os.environ.get(name)
    value = posix.environ.get(name.encode())
    return None if value is None else value.decode("utf-8", "surrogateescape")


def places(site, listing=None, missing=None):
    """The paths at which the index of a site directory may be, the first to be tried first.

    `listing` is that of the directory, where it is known. `missing` remembers by cache which directories it has not,
    once nothing was found there for a second directory: None, or a set.
    """
    if listing is None or ".epcache" in listing:
        yield site + "/.epcache/index"
    # A `..` would lead out of the cache, so such a path has to be resolved first.
    if not site.startswith("/") or "/../" in site + "/":
        return
    missing = {} if missing is None else missing
    image = USR + _IMAGE if site.startswith(USR + "/") else None
    for cache in (SYSTEM_CACHE, image, user_cache()):
        if cache and not (cache + site).startswith(tuple(missing.get(cache) or ())):
            yield cache + site + "/index"
            if cache not in missing:
                missing[cache] = None
            else:
                missing[cache] = (missing[cache] or set()) | _without_parent(cache, site)


def _without_parent(cache, site):
    """The first of the directories that lead to that of a site directory in a cache, if it is not there."""
    path = cache
    for part in site.split("/")[1:]:
        try:
            posix.stat(path)
        except OSError:
            return {path + "/"}
        path += "/" + part
    return set()


def user_cache():
    """The directory of this user's own indexes of other users' directories, or None."""
    cache = environment("XDG_CACHE_HOME")
    if cache and cache.startswith("/"):
        return cache + "/epcache"
    home = environment("HOME")
    if not home:
        import pwd

        try:
            home = pwd.getpwuid(posix.getuid()).pw_dir
        except KeyError:
            return None
    return home.rstrip("/") + "/.cache/epcache" if home.startswith("/") else None


# --- the walk over sys.path ---------------------------------------------------------------------
#
# Every path entry is stat'ed, or opened, before anything in it is read, and an index has to record
# the very stamp that was seen. One look is enough, and the order does not matter: the bytes behind an
# open index never change, and they are right for as long as the directory has the recorded stamp. So
# the answer is that of the moment of the stat, which lies within the call.

# ns. A change may leave the same stamp as one that came before it by less than this. The clock of FAT
# moves every 2 s, and a file server's may differ from ours.
SETTLE_AFTER = 3_000_000_000
# ns. A ctime before this proves nothing: such file systems keep no times.
EPOCH_ENDS = 2_000_000_000

# Bytes, and links, which are the subdirectories on most file systems. To list such a directory costs less than to look
# for an index in vain.
_SMALL = 4096
_FEW = 64
# Of so many directories the listing is remembered.
_MOST = 500
# By path the stamp, and the names of the distributions, of directories that have none or no index.
listings = {}


class NotPlain(Exception):
    """The plain case does not cover what was found."""


class Scan:
    """One walk over `sys.path`: what each entry holds, and the stamps that prove that it still does.

    This class alone is the plain case. What that does not cover ends the walk with `NotPlain`, in the
    methods `other`, `indexed` and `unindexed`; `_scan.FullScan` overrides them.
    """

    def __init__(self, entries):
        self.entries = list(entries)
        self.finders = list(sys.meta_path)
        self.stamps = []  # of each entry; None where there is nothing
        self.cacheable = True  # whether every later change shows in the stamps
        self.indexes = []
        self.answers = {}  # by group
        self._directories = []  # triples of number, entry and `stat`
        self._others = []  # pairs of number and entry
        self.is_begun = False  # whether each entry has been looked at
        self._without = {}
        self._missing = {}  # see `places`

    def walk(self, begun=None):
        """What holds the distributions of each entry, in their order; None for those without any.

        `begun` is a scan of this moment that did not get to its end.
        """
        first = -1
        try:
            if begun is None:
                first = self._look()
            else:
                self.entries, self.stamps, self.cacheable = begun.entries, begun.stamps, begun.cacheable
                self._directories, self._others = begun._directories, begun._others
                self._missing = begun._missing
            self.is_begun = True
            found = [None] * len(self.entries)
            for number, entry in self._others:
                found[number] = self.other(entry)
            # From the end: there are the site directories, whose index may know those in front of them.
            for number, entry, info in reversed(self._directories):
                found[number] = self.directory(entry, info, first if number == 0 else -1)
        finally:
            if first >= 0:
                posix.close(first)
        return found

    def _look(self):
        """Look at each entry. Returns the descriptor of the first one; negative where that is not open."""
        first = -1
        self.stamps = [None] * len(self.entries)
        for number, entry in enumerate(self.entries):
            if not isinstance(entry, str) or entry.rpartition("/")[2].lower().endswith(".egg"):
                self._others.append((number, entry))
                continue
            try:
                if number == 0:
                    # A program's own directory: most likely small, and then it will be listed.
                    first = _open_to_list(entry)
                info = posix.fstat(first) if first >= 0 and number == 0 else posix.stat(entry or ".")
            except OSError:
                continue
            except ValueError:
                self._others.append((number, entry))
                continue
            self.stamps[number] = stamp_of(info)
            if info.st_mode & 0o170000 == 0o040000:
                self._directories.append((number, entry, info))
            else:
                self.cacheable = False
                if info.st_mode & 0o170000 == 0o100000:
                    self._others.append((number, entry))
        return first

    def directory(self, entry, info, descriptor):
        """What holds the distributions of a directory; `descriptor` is negative where it is not open."""
        stamp = stamp_of(info)
        if self._without.get(entry) == stamp:
            return None
        remembered, names = listings.get(entry, (None, None))
        if remembered == stamp:
            return self.listed(entry, names) if names else None
        names = None
        if info.st_size <= _SMALL and info.st_nlink <= _FEW:
            names = posix.listdir(descriptor if descriptor >= 0 else entry or ".")
            if self._has_none(entry, info, names):
                return None
        found = self.indexed(entry, info, names) if entry else None
        if found is None:
            if names is None:
                names = posix.listdir(entry or ".")
                if self._has_none(entry, info, names):
                    return None
            found = self.unindexed(entry, info, names)
        return found

    def _has_none(self, entry, info, names):
        if count_distributions(names):
            return False
        self.cacheable = remember_listing(entry, info, ()) and self.cacheable
        return True

    def other(self, entry):
        """What stands for an entry that only `importlib.metadata` can read, such as a zip file."""
        raise NotPlain

    def indexed(self, entry, info, listing):
        """What the index of a directory gives; None where there is none."""
        if self.indexes:
            return None
        for place in places(entry, listing, self._missing):
            index = open_index(place, entry, info.st_uid)
            if index is not None:
                self.indexes.append(index)
                if not self._is_plain(index) or not self._proves(index, entry, info, listing):
                    raise NotPlain
                if index.untrusted:
                    from ._confirm import is_plain

                    if not is_plain(index, listing or posix.listdir(entry)):
                        raise NotPlain
                self.believe_without(index)
                return index
        return None

    def believe_without(self, index):
        """Take over which directories hold no distributions.

        An index of others could hide what is in them. It is believed for the standard library alone, where
        that is root's.
        """
        without = index.without
        if index.foreign:
            library = "%s/%s/python%d.%d" % (sys.base_prefix, sys.platlibdir, *sys.version_info[:2])
            believed = {entry for _, entry, info in self._directories if info.st_uid == 0}
            believed &= {library, library + "/lib-dynload"}
            without = {entry: without[entry] for entry in believed & without.keys()}
        self._without.update(without)

    @staticmethod
    def _is_plain(index):
        # Distributions of these kinds have to be looked at one by one.
        return index.settled and not (index.unsettled or index.opaque or index.duplicates)

    def _proves(self, index, entry, info, listing):
        if index.sealed and (index.site != stamp_of(info) or index.has_witnesses()):
            from ._sealed import proof

            if proof(index, entry, info, listing) is not None:
                return False
            self.cacheable = self.cacheable and index.cacheable
            return index.ordered
        return index.site == stamp_of(info)

    def unindexed(self, entry, info, names):
        """What the listing of a directory gives, which has distributions and no usable index."""
        raise NotPlain

    def listed(self, entry, names):
        """The same for a listing that is remembered."""
        raise NotPlain

    def holds(self):
        """Whether all that was found is still on disk, unchanged."""
        if sys.path != self.entries or sys.meta_path != self.finders:
            return False
        for entry, stamp in zip(self.entries, self.stamps):
            try:
                if stamp_of(posix.stat(entry or ".")) != stamp:
                    return False
            except OSError:
                if stamp is not None:
                    return False
        try:
            return all(identity_of(posix.lstat(index.path)) == index.identity for index in self.indexes)
        except OSError:
            return False


def _open_to_list(entry):
    try:
        return posix.open(entry or ".", posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except PermissionError:
        return -1


def searches_sys_path(finder):
    """Whether this is the standard finder, or the one by which importlib_metadata replaces it."""
    return module_of_finder(finder) is not None


def module_of_finder(finder):
    """The name of the module whose distributions a finder for `sys.path` makes; None for others."""
    kind = finder if isinstance(finder, type) else type(finder)
    if (kind.__module__, kind.__name__) == ("_frozen_importlib_external", "PathFinder"):
        return "importlib.metadata"
    if (kind.__module__, kind.__name__) == ("importlib_metadata", "MetadataPathFinder"):
        return "importlib_metadata"
    return None


def count_distributions(names):
    """The number of distributions among the names of a listing."""
    # No name has a slash, so this is one look at all their ends.
    ends = "/".join(names).lower() + "/"
    return ends.count(".dist-info/") + ends.count(".egg-info/")


def is_repeatable(mtime, ctime):
    """Whether a later change may leave a directory with these times as well."""
    return ctime < EPOCH_ENDS or time.time_ns() - max(mtime, ctime) <= SETTLE_AFTER


def remember_listing(entry, info, names):
    """Note the distributions of a directory that has none or no index, for later calls in this process.

    False if its stamp may be that of a later change, too.
    """
    if is_repeatable(info.st_mtime_ns, info.st_ctime_ns):
        return False
    if entry:
        if len(listings) >= _MOST:
            listings.clear()
        listings[entry] = stamp_of(info), names
    return True


# --- the plain case -----------------------------------------------------------------------------

_known = None


def _in_plain_case(answer, begun):
    """What `answer` makes of the scan of `sys.path` as it is now; None if this is not the plain case.

    Then `begun` gets the scan that showed it, which need not be begun again.
    """
    global _known
    if environment("EPCACHE") not in (None, "", "warn"):
        return None
    known = _known
    if known is None or not known.cacheable or not known.holds():
        known = _scan_again(known, begun)
    try:
        return None if known is None else answer(known)
    except (Unusable, NotPlain, MemoryError, ImportError):
        return None
    finally:
        for index in known.indexes if known is not None else ():
            index.close()
        _known = known  # other threads may use it from now on


def _plain_entry_points(group, name, begun):
    """The entry points of a group, of all groups if it is None; None if this is not the plain case.

    With a name, those of other names may be left out. For `begun` see `_in_plain_case`.
    """

    def answer(scan):
        if group in scan.answers:
            return scan.answers[group]
        found = []
        complete = True
        of = EntryPoint._of
        for index in scan.indexes:
            records = index.records(group)
            if index.untrusted:
                from ._confirm import confirmed

                records = confirmed(index, group, name, records)
                complete = name is None
            found += [of(name, value, its_group, index, row) for row, _, its_group, name, value in records]
        if complete:
            scan.answers[group] = found
        return found

    return _in_plain_case(answer, begun)


# The newest version of Python whose `importlib.metadata` is known.
NEWEST_PYTHON = (3, 15)


def plain_version(name, begun, native=False):
    """A tuple with the version of a distribution, empty if there is none of that name.

    None if the metadata has to be read, or this is not the plain case; for `begun` see `_in_plain_case`. With `native`
    by the rules of this interpreter's `importlib.metadata`, otherwise by those of 3.12.
    """

    def answer(scan):
        of39 = False
        if native:
            for finder in scan.finders:
                if hasattr(finder, "find_distributions") and module_of_finder(finder) != "importlib.metadata":
                    return None
            if sys.version_info[:2] > NEWEST_PYTHON:
                return None
            of39 = sys.version_info < (3, 10)
        for index in scan.indexes:
            row = index.row_named(name, of39)
            if row is not None:
                found = index.version_in(row)
                return None if found is None else (found,)
        return ()

    return _in_plain_case(answer, begun)


def _scan_again(known, begun):
    """What is on `sys.path`, with the answers known so far if they are still from these files."""
    found = _plain_scan(begun)
    if found is not None and known is not None:
        if [(index.path, index.identity) for index in known.indexes] == [
            (index.path, index.identity) for index in found.indexes
        ]:
            found.answers = known.answers
    return found


def _plain_scan(begun):
    """What is on `sys.path`; None if this is not the plain case."""
    scan = Scan(sys.path)
    finders = [finder for finder in scan.finders if hasattr(finder, "find_distributions")]
    if not finders:
        return scan
    if len(finders) != 1 or not searches_sys_path(finders[0]):
        return None
    try:
        scan.walk()
    except (OSError, ValueError, Unusable, NotPlain, MemoryError, ImportError):
        for index in scan.indexes:
            index.close()
        if scan.is_begun:
            begun.append(scan)
        return None
    return scan
