"""The distributions of an index: their directories, names, versions, requirements, stamps, top-level names.

Read when more is wanted than the entry points of one group.
"""

from . import checked, unescape, unescaped

# The source of an answer, for the proof that it is still right.
METADATA = 1
ENTRY_POINTS = 2
TOP_LEVEL = 3

# The headers that the segment `requirements` repeats, by their letters there.
_REQUIREMENTS = {"d": "requires-dist", "e": "provides-extra", "p": "requires-python"}


class Table:
    """The rows of an index that is open, or has been read whole.

    Of an untrusted index, name and version of a distribution count only if the directory's name, which is
    that of the listing, has them too.
    """

    def __init__(self, index):
        self.index = index
        self.unusable = index.unusable
        self._rows = self._lines("distributions")
        self._names = self._stamps = None
        self._top_level = self._missing = self._requirements = self._contents = None
        self._last_required = -1, None
        self._by_row = None

    @checked
    def _lines(self, segment):
        lines = self.index.segment(segment.encode()).split(b"\n")
        if lines.pop() != b"" or len(lines) != self.index.count:
            raise self.unusable()
        return lines

    @checked
    def _fields(self, row):
        directory, flags, key, name, version = self._rows[row].split(b"\t")
        return directory, flags, key, name, version

    @checked
    def names(self):
        """The names of all ``.dist-info`` and ``.egg-info``, by row."""
        if self._names is not None:
            return self._names
        names = [line.partition(b"\t")[0] for line in self._rows]
        joined = b"\n".join(names)
        if b"%" in joined or not names:
            names = list(map(unescaped, names))
        else:
            names = unescaped(joined).split("\n")
        joined = "/".join(names).lower()
        # A hostile index must not lead out of the site directory, or to what is no distribution.
        if joined.count("/") != max(len(names) - 1, 0) or len(names) != sum(
            map((joined + "/").count, (".dist-info/", ".egg-info/"))
        ):
            raise self.unusable()
        self._names = names
        return names

    @checked
    def key(self, row):
        """What `entry_points()` compares two distributions by; empty where only the metadata has it."""
        return "" if self.index.untrusted else self._fields(row)[2].decode()

    @checked
    def version(self, row):
        """The version; None if the metadata has to be read."""
        return self.index.version_in(self._fields(row))

    @checked
    def name(self, row):
        """The name as the metadata writes it; None if the metadata has to be read."""
        directory, flags, _, name, _ = self._fields(row)
        if b"m" in flags or b"n" in flags:
            return None
        name = name.decode()
        if self.index.untrusted:
            from ._names import normalized, stem

            if normalized(name) != stem(unescaped(directory)):
                return None
        return name

    @checked
    def requirements(self, row):
        """The values of each header that the index repeats with all its values, by its name in lower case;
        None if the metadata has to be read. It must not be changed."""
        last, found = self._last_required
        if row == last:
            # Programs ask for one header after the other.
            return found
        if self._requirements is None:
            self._requirements = self._lines("requirements")
        line = self._requirements[row]
        if line == b"-":
            return None
        found = {name: [] for name in _REQUIREMENTS.values()}
        for field in line.decode().split("\t") if line else ():
            found[_REQUIREMENTS[field[:1]]].append(field[1:])
        self._last_required = row, found
        return found

    @checked
    def flags(self, row):
        """The flags of a row, as bytes."""
        return self._fields(row)[1]

    @checked
    def stamps(self, row):
        """The recorded stamps as bytes: of the directory, the metadata file and entry_points.txt."""
        itself, metadata, entry_points = self.all_stamps()[row].split(b"\t")
        return itself, metadata, entry_points

    @checked
    def contents(self, row):
        """What is recorded of the content of the metadata file and of entry_points.txt, as bytes."""
        metadata, entry_points = self.all_contents()[row].split(b"\t")
        return metadata, entry_points

    def all_contents(self):
        """The same of all rows, each two with a tab between them."""
        if self._contents is None:
            self._contents = self._lines("contents")
        return self._contents

    @checked
    def newest_change(self, row):
        """The latest ctime among the stamps of a row, in ns."""
        recorded = [*self.stamps(row), *self.top_level(row)[:2]]
        return max(int(stamp.split(b" ")[1]) for stamp in recorded if stamp != b"-")

    def all_stamps(self):
        """The stamps of all rows, each three with tabs between them."""
        if self._stamps is None:
            self._stamps = self._lines("stamps")
        return self._stamps

    @checked
    def top_level(self, row):
        """The importable names: stamps (bytes) of top_level.txt and of the list of files, the kind of
        source, the names for CPython from 3.12 on, and those for 3.11."""
        if self._top_level is None:
            self._top_level = self._lines("top-level")
        declared, listed, kind, names, python_names = self._top_level[row].split(b"\t")
        return declared, listed, kind.decode(), _names(names), _names(python_names)

    def places(self, row):
        """The directories, with a slash at the end, in which a distribution has files; None if it may
        have some anywhere."""
        _, _, kind, names, _ = self.top_level(row)
        if kind == "declared":
            return [f"{name}/" for name in names]
        return None if kind == "opaque" else [name for name in names if name.endswith("/")]

    @checked
    def missing(self, row):
        """Listed files that did not exist, and that would add importable names to the row."""
        if self._missing is None:
            lines = self.index.segment(b"missing").split(b"\n")
            if lines.pop() != b"":
                raise self.unusable()
            self._missing = {int(row): _names(names) for row, names in (line.split(b"\t") for line in lines)}
        return self._missing.get(row, ())

    def entry_points(self, row):
        """The entry points of a distribution as tuples (group, name, value)."""
        if self._by_row is None:
            self._by_row = self._entry_points_by_row()
        return self._by_row.get(row, ())

    @checked
    def _entry_points_by_row(self):
        by_row = {}
        # By row, then by place.
        for number, _, group, name, value in sorted(self.index.unordered()):
            if number in by_row:
                by_row[number].append((group, name, value))
            else:
                by_row[number] = [(group, name, value)]
        return by_row


def _names(field):
    """The names in a field."""
    if b"%" not in field:
        return field.decode().split(" ") if field else ()
    return [unescape(name).decode() for name in field.split(b" ")]
