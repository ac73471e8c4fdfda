"""Metadata of installed distributions, from an index where that is provably right.

The functions are those of ``importlib.metadata``. Where a site directory has an index (``epcache
refresh``) that describes what is on disk now, the answer comes from it and costs one small read;
where the index is stale, only what has changed is read from the disk; where there is none, all of it.
``accelerate()`` gives the same speed to programs that call ``importlib.metadata`` itself.

This file is all that runs when a group of entry points is asked for and nothing is out of the
ordinary: one index, fresh, and no distribution of the same name elsewhere on the path. It is one
file, and imports nothing that a bare interpreter does not have, because each module of a package
costs four to seven looks at the disk to import, and the whole answer costs about as many. Whatever
is out of the ordinary is left to `_discovery`.
"""

import posix
import sys
import time

__all__ = [
    "EntryPoint",
    "EntryPoints",
    "PackageNotFoundError",
    "StaleIndexWarning",
    "TamperedIndexError",
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


def entry_points(**params):
    """Return the entry points of everything installed, as an `EntryPoints`.

    Keyword arguments select, as for `EntryPoints.select`: usually ``group`` and ``name``; each is
    compared for equality with the attribute of that name.

    Of several distributions with the same normalized name only the first on ``sys.path`` counts,
    even if it has no entry points. What a distribution's ``entry_points.txt`` makes
    ``importlib.metadata`` raise, this raises too.
    """
    # With these parameters alone, what is compared are strings: an entry point outside the group can
    # neither match nor raise. Any other parameter goes through all entry points, in the order in
    # which CPython would compare them.
    group = params.get("group")
    if type(group) is str and params.keys() <= {"group", "name", "value"}:
        del params["group"]
    else:
        group = None
    found = _plain_answer(group)
    if found is None:
        from . import _discovery, _ours

        found = _discovery.entry_points(_ours.FLAVOUR, group)
    return EntryPoints(found).select(**params)


_LAZY = {
    "PackageNotFoundError": "_api",
    "StaleIndexWarning": "_warning",
    "TamperedIndexError": "_confirm",
    "Watcher": "_watcher",
    "accelerate": "_start",
    "decelerate": "_start",
    "distribution": "_api",
    "distributions": "_api",
    "files": "_api",
    "packages_distributions": "_api",
    "requires": "_api",
    "version": "_api",
}


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
    """A named object that a distribution offers to whoever asks for its group.

    It behaves as that of CPython 3.12, on every version. `dist` is looked up when it is asked for.
    Where the index belongs to neither root nor this user, the first use of `value` confirms it
    against the distribution's own file, and raises `TamperedIndexError` if it is not there.
    """

    def __init__(self, name, value, group):
        self.__dict__.update(name=name, _value=value, group=group)

    @classmethod
    def _of(cls, name, value, group, index, row):
        """An entry point whose distribution is looked up in the index if somebody asks."""
        self = cls.__new__(cls)
        attributes = self.__dict__
        attributes["name"] = name
        attributes["_value"] = value
        attributes["group"] = group
        attributes["_index"] = index
        attributes["_row"] = row
        if index.foreign:
            attributes["_unconfirmed"] = True
        return self

    def _at(self, view, item):
        """The same, with the distribution that is in that place of a `View`."""
        self.__dict__.update(_index=view, _row=item)
        return self

    def _for(self, dist):
        self.__dict__["_dist"] = dist
        return self

    @property
    def __class__(self):
        # So that isinstance() holds for the class of importlib.metadata too, without its import.
        # Where that is a tuple, which this is not, it would promise too much.
        native = getattr(sys.modules.get("importlib.metadata"), "EntryPoint", tuple)
        return EntryPoint if issubclass(native, tuple) else native

    @property
    def value(self):
        """The object reference, as the distribution wrote it."""
        attributes = self.__dict__
        if "_unconfirmed" in attributes:
            from ._confirm import confirm

            attributes["_value"] = confirm(self._index, self._row, self.name, self._value, self.group)
            del attributes["_unconfirmed"]
        return attributes["_value"]

    @property
    def dist(self):
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
    def module(self):
        """The module that `load` imports."""
        return self._match().group("module")

    @property
    def attr(self):
        """What `load` takes from the module, dotted; None for the module itself."""
        return self._match().group("attr")

    @property
    def extras(self):
        """The names between the brackets at the end of the value."""
        from ._reference import words

        return words(self._match().group("extras") or "")

    def load(self):
        """Import the module and return it, or the attribute of it that the value names."""
        from importlib import import_module

        match = self._match()
        loaded = import_module(match.group("module"))
        for name in (match.group("attr") or "").split("."):
            if name:
                loaded = getattr(loaded, name)
        return loaded

    def matches(self, **params):
        """Whether each attribute named by a keyword equals the value given."""
        for param, wanted in params.items():
            if not (wanted == getattr(self, param)):
                return False
        return True

    def _key(self):
        return self.name, self.value, self.group

    # Comparison goes by `_key`, so that entry points equal those of importlib.metadata.
    def __lt__(self, other):
        if not hasattr(other, "_key"):
            return NotImplemented
        return self._key() < other._key()

    def __eq__(self, other):
        if not hasattr(other, "_key"):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self):
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


class EntryPoints(tuple):
    """An immutable sequence of entry points."""

    __slots__ = ()

    @property
    def __class__(self):
        # As for EntryPoint; before 3.12 it was a list, which this is not.
        native = getattr(sys.modules.get("importlib.metadata"), "EntryPoints", list)
        return native if issubclass(native, tuple) else EntryPoints

    def __getitem__(self, name):
        """The first entry point of that name; KeyError if there is none."""
        for entry_point in self:
            if entry_point.matches(name=name):
                return entry_point
        raise KeyError(name)

    def select(self, **params):
        """Those that match the given attributes (typically ``group`` and ``name``)."""
        if not params:
            return EntryPoints(self)
        return EntryPoints([ep for ep in self if ep.matches(**params)])

    @property
    def names(self):
        """The set of all names."""
        return {ep.name for ep in self}

    @property
    def groups(self):
        """The set of all groups."""
        return {ep.group for ep in self}

    def __reduce__(self):
        return EntryPoints, (tuple(self),)


# --- the index file (docs/reference/index-format.md) ------------------------------------------------------
#
# An index is never written to once it is in place, only replaced by another file. All that is read
# through one descriptor therefore belongs together, whenever it is read.

_MAGIC = b"epcache-index "
_VERSION = b"1\n"
_PREFIX = 51  # the magic line and the line of lengths
_END = b"end\n"
_FIRST_READ = 8192  # holds the header of a site directory with some 200 groups
_PRIME = 1073741789
_BLOCK = 3840
_FACTOR = pow(256, _BLOCK, _PRIME)

# A file must not be opened through a link, and a FIFO must not make us wait.
_FLAGS = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOFOLLOW | posix.O_NOCTTY

SYSTEM_CACHE = "/var/cache/epcache"
SYSTEM_USER = "epcache"


class Unusable(Exception):
    """The file must not be used. The text continues a sentence that begins with its path."""

    def __init__(self, text, path, site):
        super().__init__(text)
        self.path = path
        self.site = site


def checked(method):
    # What passes the checks can still have been written by a faulty program. Then some number is
    # not one, or leads nowhere; whatever that raises, the file is no good.
    def call(self, *arguments):
        try:
            return method(self, *arguments)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError):
            raise self.unusable() from None

    return call


def stamp_of(info):
    """What tells one state of a file from another: mtime, ctime (ns), inode, size."""
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size


def identity_of(info):
    """What tells one file from another that has been put in its place."""
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


class Index:
    """An index file, opened; `read_header` comes first."""

    foreign = False  # whether it belongs to somebody whose word is not taken for code
    lasting = True  # whether the directory's stamp tells of every later change
    seen = None  # the stamp that the directory has in this copy of a sealed tree
    ordered = True  # whether CPython finds the distributions in the order of `positions`

    def __init__(self, path, site):
        self.path = path
        self.site_directory = site
        self._fd = posix.open(path, _FLAGS)
        self.file = posix.fstat(self._fd)
        self.identity = identity_of(self.file)
        self._whole = self._order = None

    def unusable(self, why="is damaged"):
        return Unusable(why, self.path, self.site_directory)

    def close(self):
        """Release the file. What has been read of it remains."""
        if self._fd >= 0:
            posix.close(self._fd)
            self._fd = -1

    @checked
    def read_header(self):
        """Check the header and take in all of it but the groups.

        Sets `site` (the stamp), `settled`, `count`, the sets of rows `unsettled`, `duplicates` and
        `opaque`, `sealed` (see `_sealed`), and `without`: the stamps of directories without distributions,
        by path.
        """
        size = self.file.st_size
        head = posix.pread(self._fd, _FIRST_READ, 0)
        if not head:
            raise self.unusable("is empty, since it could not be brought up to date")
        if not head.startswith(_MAGIC):
            raise self.unusable("is not an index")
        if head[len(_MAGIC) : len(_MAGIC) + len(_VERSION)] != _VERSION:
            raise self.unusable("is of a version that this reader does not know")
        line = head[16:_PREFIX]
        total, length, check = line[:12], line[13:23], line[24:34]
        if not (total.isdigit() and length.isdigit() and check.isdigit() and line[12::11] == b"  \n"):
            raise self.unusable()
        length = int(length)
        if int(total) != size or posix.pread(self._fd, 4, size - 4) != _END:
            raise self.unusable("is incomplete")
        if not _PREFIX < length <= size - len(_END):
            raise self.unusable()
        if length > len(head):
            head = self._read(0, length)
        self._head = head = head[:length]
        self._verify(head[_PREFIX:], int(check))
        if head[-1:] != b"\n":
            raise self.unusable()

        groups = head.index(b"\ngroups\t", _PREFIX)
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
        """Whether files outside of the directory have to be looked at as well."""
        return self.sealed is not None and b"/" in self.sealed

    def _set_of_rows(self, text):
        if text is None:
            return frozenset()
        rows = frozenset(map(int, text.split(b" ")))
        if min(rows) < 0 or max(rows) >= self.count:
            raise self.unusable()
        return rows

    def take_whole(self):
        """Read all of the file into memory: what is looked up from now on is read from there.

        False if another file has been put in its place.
        """
        if self._whole is None:
            # Without one of ours the file is opened again. (Of one that is still open the identity may
            # have changed: a rename over it moves its ctime.)
            again = -1
            try:
                if self._fd < 0:
                    again = posix.open(self.path, _FLAGS)
                    if identity_of(posix.fstat(again)) != self.identity:
                        return False
                whole = posix.pread(max(self._fd, again), self.file.st_size, 0)
            except OSError:
                return False
            finally:
                if again >= 0:
                    posix.close(again)
            if len(whole) != self.file.st_size or not whole.startswith(self._head):
                return False
            self._whole = whole
        return True

    def _read(self, offset, size):
        if self._whole is not None:
            data = self._whole[offset : offset + size]
        else:
            data = posix.pread(self._fd, size, offset)
        if len(data) != size:
            raise self.unusable()
        return data

    def _verify(self, data, check):
        # As one number it would be divided digit by digit, which takes four times as long as to multiply.
        value = 0
        for start in range((len(data) - 1) // _BLOCK * _BLOCK, -1, -_BLOCK):
            value = value * _FACTOR + int.from_bytes(data[start : start + _BLOCK], "little")
        if value % _PRIME != check:
            raise self.unusable()

    def _placed(self, place):
        offset, size, check = map(int, place.split(b"\t"))
        start = len(self._head) + offset
        if offset < 0 or size < 0 or start + size > self.file.st_size - len(_END):
            raise self.unusable()
        data = self._read(start, size)
        self._verify(data, check)
        return data

    @checked
    def segment(self, name):
        """The bytes of a segment."""
        return self._placed(self._segments[name])

    @checked
    def records(self, group):
        """The entry points as tuples (row, place, group, name, value), in the order of CPython.

        That is the order of the distributions in the listing of the directory, and for each of
        them that of its file. With `group` None those of all groups, and the whole file is checked.
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
        """Those of all groups, in the order of the file."""
        found = []
        lines = self._head[self._groups_at + 1 : -1].split(b"\n")
        places = [line.rpartition(b"\t") for line in lines if line]
        self._must_fit([place for place, _, _ in places])
        for place, _, name in places:
            self._add(place, name.decode(), found)
        return found

    def _must_fit(self, places):
        # Thousands of groups that are all in the same place would take more memory than there is.
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
        # All at once, which takes less than to go line by line: four fields a line, and its end.
        fields = self._placed(place).decode().replace("\n", "\t\n\t").split("\t")
        if fields.pop() != "" or len(fields) % 5 or fields[4::5] != ["\n"] * (len(fields) // 5):
            raise self.unusable()
        rows = list(map(int, fields[::5]))
        if rows and max(rows) >= self.count:
            raise self.unusable()
        found += zip(rows, map(int, fields[1::5]), [group] * len(rows), fields[2::5], fields[3::5])

    @checked
    def positions(self):
        """The places of the distributions in the listing: seven digits and a newline for each row,
        equally long, so that they compare as bytes."""
        if self._order is None:
            self._order = self._placed(self._segments[b"order"])
            if len(self._order) != 8 * self.count:
                raise self.unusable()
        return self._order

    def take_order(self, places):
        """Let `positions` be these, by row."""
        self._order = b"".join([b"%07d\n" % place for place in places])


def unescape(name):
    """What an index writes with ``%XX``, as it is."""
    first, *rest = name.split(b"%")
    return first + b"".join([bytes((int(part[:2], 16),)) + part[2:] for part in rest])


def unescaped(name):
    """The name of a file, as `os.listdir` gives it, from how an index writes it."""
    if b"%" in name:
        name = unescape(name)
    if b"\0" in name:
        raise ValueError("NUL in a file name")
    return name.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def open_index(path, site, site_owner):
    """The index at `path` with its header read, or None if there is none.

    Raises `Unusable` for a file that is damaged, or belongs to somebody who is not trusted with it.
    """
    try:
        index = Index(path, site)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        # In a directory that we may not enter there may be anything.
        try:
            posix.stat(path)
        except OSError:
            return None
        raise Unusable("can't be read by this user", path, site) from None
    except OSError as error:
        if len(path) > 4000:
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


def distrust(index, site_owner):
    """Why the file is not to be trusted, or None; also sets `foreign`."""
    file = index.file
    if file.st_mode & 0o170000 != 0o100000:
        return "is not a regular file"
    if file.st_mode & 0o022:
        return "may be written by others than its owner (mode %04o)" % (file.st_mode & 0o7777)
    owner = file.st_uid
    index.foreign = owner != 0 and owner != posix.geteuid()
    if not index.foreign or owner == site_owner:
        return None
    if index.path.startswith(SYSTEM_CACHE + "/") and owner == _uid_of_system_user():
        return None
    return "belongs to user %d, who is not trusted here" % owner


_system_uid = None


def _uid_of_system_user():
    global _system_uid
    if _system_uid is None:
        import pwd

        try:
            _system_uid = pwd.getpwnam(SYSTEM_USER).pw_uid
        except KeyError:
            return None
    return _system_uid


def environment(name):
    """A variable of the environment, or None; without importing `os` if nobody has."""
    os = sys.modules.get("os")
    if os is not None:
        return os.environ.get(name)
    value = posix.environ.get(name.encode())
    return None if value is None else value.decode("utf-8", "surrogateescape")


def places(site):
    """The paths at which the index of a site directory may be, in their order, one by one."""
    yield site + "/.epcache/index"
    # A `..` would lead out of the cache, so such a path has to be resolved first.
    if site.startswith("/") and "/../" not in site + "/":
        yield SYSTEM_CACHE + site + "/index"
        cache = user_cache()
        if cache:
            yield cache + site + "/index"


def user_cache():
    """The directory with the indexes that this user has made of others' directories, or None."""
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


# --- the plain case -----------------------------------------------------------------------------
#
# Every path entry is stat'ed, or opened, before anything of it is read, and an index has to record
# the very stamp that was seen. Looking only once is enough, and the order does not matter: the bytes
# behind an open index never change, and what they say is right for as long as the directory has the
# recorded stamp. So the answer is that of the moment of the stat, which lies within the call.

GUARD = 3_000_000_000  # ns; younger stamps may be repeated by a later change (FAT's 2 s, and skew)
NO_TIME = 2_000_000_000  # ns; a ctime before that is none: the file system keeps no stamps

_MOST = 500  # at most as many directories are remembered to be without distributions
without_distributions = {}

_known = None


class Path:
    """What the last walk over `sys.path` found, and by what it can be seen that it still holds."""

    def __init__(self):
        self.entries = list(sys.path)
        self.finders = list(sys.meta_path)
        self.stamps = []  # of each entry, in the order of sys.path; None: neither file nor directory
        self.lasting = True  # whether the stamps tell of every later change
        self.indexes = []
        self.answers = {}

    def holds(self):
        """Whether all that it is from is still on disk, unchanged."""
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


def _plain_answer(group):
    """The entry points of a group, or of all if it is None, as a list; None where that takes more than
    the plain case."""
    global _known
    if environment("EPCACHE") not in (None, "", "warn"):
        return None
    known = _known
    if known is not None and known.lasting and known.holds():
        found = known.answers.get(group)
        if found is not None:
            return found
        if not all(index.take_whole() for index in known.indexes):
            known = None
    else:
        known = _walk_again(known)
        found = None if known is None else known.answers.get(group)
    try:
        if known is None:
            return None
        if found is None:
            of = EntryPoint._of
            found = [
                of(name, value, its_group, index, row)
                for index in known.indexes
                for row, _, its_group, name, value in index.records(group)
            ]
    except Unusable:
        return None
    finally:
        for index in known.indexes if known is not None else ():
            index.close()
        _known = known  # other threads may use it from now on
    known.answers[group] = found
    return found


def _walk_again(known):
    """What is on `sys.path`, with what has been answered already if that is still from these files."""
    found = _walk()
    if found is not None and known is not None:
        if [(index.path, index.identity) for index in known.indexes] == [
            (index.path, index.identity) for index in found.indexes
        ]:
            found.answers = known.answers
    return found


def _walk():
    """What is on `sys.path`; None if it is anything but plain."""
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    if not finders:
        return Path()
    if len(finders) != 1 or not searches_sys_path(finders[0]):
        return None
    path = Path()
    directories = []
    first = -1
    try:
        for number, entry in enumerate(path.entries):
            if type(entry) is not str or entry.rpartition("/")[2].lower().endswith(".egg"):
                return None
            try:
                if number:
                    info = posix.stat(entry or ".")
                else:
                    # Where a program's own file is: a directory that will most likely be listed.
                    first = posix.open(entry or ".", posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
                    info = posix.fstat(first)
            except (FileNotFoundError, NotADirectoryError):
                path.stamps.append(None)
                continue
            if info.st_mode & 0o170000 != 0o040000:
                return None
            path.stamps.append(stamp_of(info))
            directories.append((number, entry, info))
        # From the end: there are the site directories, whose index may know of those in front.
        for number, entry, info in reversed(directories):
            if not _take_directory(path, entry, info, first if number == 0 else -1):
                break
        else:
            return path
    except (OSError, ValueError, Unusable):
        pass
    finally:
        if first >= 0:
            posix.close(first)
    for index in path.indexes:
        index.close()
    return None


def _take_directory(path, entry, info, descriptor):
    """Add a directory to what is known; False if more has to be looked at."""
    stamp = stamp_of(info)
    if without_distributions.get(entry) == stamp:
        return True
    if path.indexes and path.indexes[0].without.get(entry) == stamp:
        return True
    # A small one is listed at once: that costs less than looking for an index in vain.
    small = descriptor >= 0 and info.st_size <= 4096
    if small and not holds_distributions(posix.listdir(descriptor)):
        path.lasting = remember_without_distributions(entry, info) and path.lasting
        return True
    if not path.indexes and entry:
        for place in places(entry):
            index = open_index(place, entry, info.st_uid)
            if index is not None:
                path.indexes.append(index)
                plain = index.settled and not (index.unsettled or index.opaque or index.duplicates)
                if plain and index.sealed and (index.site != stamp or index.has_witnesses()):
                    from ._sealed import proof

                    plain = proof(index, entry, info) is None and index.ordered
                    path.lasting = path.lasting and index.lasting
                    return plain
                return plain and index.site == stamp
    if small or holds_distributions(posix.listdir(entry or ".")):
        return False
    path.lasting = remember_without_distributions(entry, info) and path.lasting
    return True


def searches_sys_path(finder):
    """Whether this is the standard finder, or the one by which importlib_metadata replaces it."""
    kind = finder if isinstance(finder, type) else type(finder)
    return (kind.__module__, kind.__name__) in (
        ("_frozen_importlib_external", "PathFinder"),
        ("importlib_metadata", "MetadataPathFinder"),
    )


def holds_distributions(names):
    """Whether there is a distribution among the names of a listing."""
    # No name holds a slash, so this is one look at all their ends.
    ends = "/".join(names).lower() + "/"
    return ".dist-info/" in ends or ".egg-info/" in ends


def is_repeatable(mtime, ctime):
    """Whether a later change may leave a directory with these times as well."""
    return ctime < NO_TIME or time.time_ns() - max(mtime, ctime) <= GUARD


def remember_without_distributions(entry, info):
    """Note that a directory holds none, for later calls in this process; False if its stamp may be that
    of a later change, too."""
    if is_repeatable(info.st_mtime_ns, info.st_ctime_ns):
        return False
    if entry:
        if len(without_distributions) >= _MOST:
            without_distributions.clear()
        without_distributions[entry] = stamp_of(info)
    return True
