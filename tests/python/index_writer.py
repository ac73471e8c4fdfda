"""A second implementation of docs/index-format.md, written from that page alone.

It makes indexes for the tests of the reader, among them some that the tool would not make, and what
it says of a real environment is compared with what the tool writes. It is slow and plain on
purpose, and takes its parser from `importlib.metadata` where that is the authority.
"""

import configparser
import email
import os
import re
import time

PRIME = 1073741789
SUFFIXES = (b".dist-info", b".egg-info")
LISTS = ["RECORD", "installed-files.txt", "SOURCES.txt"]
# A path, in quotes or not, perhaps a hash, perhaps a size; nothing that needs more thought.
PLAIN_LINE = re.compile(r'(?:"(?P<quoted>[^"]*)"|(?P<bare>[^",]*))(?:,[^",]*(?:,[0-9]{0,18})?)?')


def check(data):
    return int.from_bytes(data, "little") % PRIME


def stamp(path):
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


def escape(name):
    """A directory name as the table spells it."""
    spelled = []
    for char in name.decode("utf-8", "surrogateescape"):
        if char < " " or char in "\x7f%":
            spelled.append(b"%%%02X" % ord(char))
        elif "\udc80" <= char <= "\udcff":
            spelled.append(b"%%%02X" % (ord(char) - 0xDC00))
        else:
            spelled.append(char.encode())
    return b"".join(spelled)


def parse_entry_points(text):
    """[(group, name, value)], or None where the index must leave them to the reader."""
    entries = []
    group = None
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line.strip("[]")
        elif group is not None:
            if "=" not in line:
                return None
            name, value = line.split("=", 1)
            fields = group, name.strip(), value.strip()
            if any(c in field for field in fields for c in "\t\0"):
                return None
            entries.append(fields)
    return entries


# What no version of Python refuses as the value of an entry point.
REFERENCE = re.compile(r"[a-zA-Z0-9_.]+( *: *[a-zA-Z0-9_.]+)?( *\[[ -~]*\])?")


def is_read_alike_by_configparser(text, entries):
    """Whether CPython 3.9's way of reading entry_points.txt gives the same."""
    if ";" in text or "%" in text:
        return False
    parser = configparser.ConfigParser(delimiters="=")
    parser.optionxform = str
    try:
        parser.read_string(text)
    except configparser.Error:
        return False
    found = [(group, name, value) for group in parser.sections() for name, value in parser.items(group)]
    return found == entries


def read_text(path):
    """('absent' | 'text' | 'hidden', text)"""
    if os.path.islink(path):
        return "hidden", None
    if not os.path.exists(path) or os.path.isdir(path):
        return "absent", None
    if not os.path.isfile(path):
        return "hidden", None
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return "text", file.read()
    except UnicodeDecodeError:
        return "hidden", None


class TopLevel:
    """The importable names of a distribution, for the segments `top-level` and `missing`.

    `names`, `python_names` and `missing` are sets, or a list where they are declared.
    """

    def __init__(self, kind, names=(), python_names=(), missing=(), stamps=(None, None)):
        self.kind = kind
        self.names = names
        self.python_names = python_names
        self.missing = missing
        self.stamps = stamps

    @classmethod
    def of(cls, site, file_name):
        """What the page says of a distribution."""
        path = os.path.join(os.fsencode(site), file_name)
        own = stamp(path + b"/top_level.txt")
        kind, text = read_text(path + b"/top_level.txt")
        if kind == "hidden" or os.path.islink(path):
            return cls("opaque", stamps=(own, None))
        if (text or "").split():
            return cls("declared", text.split(), stamps=(own, None))
        lists = [name for name in LISTS if os.path.lexists(path + b"/" + name.encode())]
        if not lists:
            return cls("none", stamps=(own, None))
        stamps = own, stamp(path + b"/" + lists[0].encode())
        kind, text = read_text(path + b"/" + lists[0].encode())
        if kind != "text" or lists[1:] and (lists[0] != "RECORD" or not text):
            return cls("opaque", stamps=stamps)
        try:
            return cls(*inferred(os.fsdecode(site), os.fsdecode(file_name), lists[0], text), stamps=stamps)
        except ValueError:
            return cls("opaque", stamps=stamps)


def inferred(site, file_name, name_of_list, text):
    """Kind, names, names for 3.11, what is missing; ValueError where it is left to the reader."""
    python_names, found, here = set(), set(), {}
    for line in text.splitlines():
        parts = parts_of(line, name_of_list)
        if parts is None:
            continue  # beside the list, in a directory with a dot
        if name_of_list != "installed-files.txt" and re.fullmatch(r".+\.py", parts[-1], re.DOTALL):
            python_names.add(parts[0] if len(parts) > 1 else parts[0][:-3])
        if len(parts) > 1:
            token = parts[0] + "/"
            wanted = "." not in parts[0]
        else:
            token = parts[0]
            wanted = re.search(r"^[^.]*(\.(py|pyc|.*so(?<=\.so)))?$(?!\n)", token, re.DOTALL)
        if not wanted:
            continue
        path = os.path.join(site, *parts)
        if not os.path.realpath(path).startswith(os.path.realpath(site) + "/"):
            raise ValueError("leads out of the site directory")
        if os.path.exists(path):
            found.add(token)
        here[token] = os.path.lexists(os.path.join(site, parts[0]))
    if any(is_there and token not in found for token, is_there in here.items()):
        raise ValueError("there is something of that name, but none of the files")
    kind = "inferred" if found or python_names else "none"
    return kind, found, python_names, {token for token, is_there in here.items() if not is_there}


def parts_of(line, name_of_list):
    """The parts of a path in a list, seen from the site directory."""
    if name_of_list == "RECORD":
        match = PLAIN_LINE.fullmatch(line)
        path = match and (match["quoted"] or match["bare"])
    else:
        path = None if '"' in line else line
    if not path or path.startswith("/") or "\0" in path:
        raise ValueError("not plain")
    beside = False
    if name_of_list == "installed-files.txt":
        beside = not path.startswith("../")
        path = path if beside else path[3:]
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or name_of_list == "installed-files.txt" and ".." in parts:
        raise ValueError("not plain")
    return None if beside else parts


def spelled_name(name):
    """A name as a field of names spells it."""

    def spelled(char):
        if char.isspace() or char in "\x7f%" or char < " ":
            return b"".join(b"%%%02X" % byte for byte in char.encode())
        return char.encode()

    return b"".join(map(spelled, name))


def normalize(name):
    return re.sub(r"[-_.]+", "-", name).lower().replace("-", "_")


def has_key(name):
    """Whether an index can say what a name is when it is normalized."""
    return name != "" and all(" " <= char <= "~" for char in name)


def is_utf8(name):
    try:
        return bool(name.decode())
    except UnicodeDecodeError:
        return False


def stem_of(file_name):
    """The name that the directory's name gives, or ''."""
    stem, extension = os.path.splitext(os.fsdecode(file_name))
    return stem.partition("-")[0] if extension in (".dist-info", ".egg-info") else ""


class Row:
    """What the index says about one distribution."""

    def __init__(self, site, name):
        self.top_level = TopLevel.of(site, name)
        path = os.path.join(os.fsencode(site), name)
        self.file_name = name
        metadata = b"PKG-INFO" if name.lower().endswith(b".egg-info") else b"METADATA"
        self.stamps = [stamp(path), stamp(path + b"/" + metadata), stamp(path + b"/entry_points.txt")]
        if os.path.isdir(path):
            kind, text = read_text(path + b"/" + metadata)
        else:
            kind, text = read_text(path)
        headers = email.message_from_string(text or "")
        self.identity_is_opaque = kind == "hidden"
        self.name = headers["Name"]
        self.version = headers["Version"]
        kind, text = read_text(path + b"/entry_points.txt")
        self.entries = None if kind == "hidden" else parse_entry_points(text or "")
        name = stem_of(name)
        if not name:
            name = self.name or ""
            if not has_key(name):
                # A reader has to ask the metadata who this is, and then to raise what that makes
                # importlib.metadata raise.
                self.entries = None
        self.configparser_differs = bool(
            text and self.entries is not None and not is_read_alike_by_configparser(text, self.entries)
        )
        self.key = normalize(name) if has_key(name) else ""
        if any(char in value for value in (self.name or "", self.version or "") for char in "\t\n\r\0"):
            # What a line of the table can't hold.
            self.identity_is_opaque = True
            self.name = self.version = None

    def flags(self):
        return "".join(
            flag
            for flag, is_set in [
                ("e", self.entries is None),
                ("c", self.configparser_differs),
                ("r", not all(REFERENCE.fullmatch(value) for _, _, value in self.entries or ())),
                ("m", self.identity_is_opaque),
                ("n", not self.identity_is_opaque and self.name is None),
                ("v", not self.identity_is_opaque and self.version is None),
            ]
            if is_set
        )


def rows_of(site):
    """The rows, and for each its place in the listing as importlib.metadata arranges it."""
    listing = [name for name in os.listdir(os.fsencode(site)) if name.lower().endswith(SUFFIXES)]
    if not all(stem_of(name) and is_utf8(name) for name in listing):
        together = {}
        for name in listing:
            stem = os.fsdecode(name).lower().rpartition(".")[0].partition("-")[0]
            together.setdefault(normalize(stem), []).append(name)
        listing = [name for names in together.values() for name in names]
    rows = [Row(site, name) for name in sorted(listing)]
    return rows, [listing.index(row.file_name) for row in rows]


def render(
    site_stamp,
    rows,
    order,
    *,
    settled=True,
    unsettled=(),
    version=b"1",
    without=(),
    top_level=None,
    seal=None,
):
    """The bytes of an index.

    `without` are paths of directories that are said to hold no distributions; `top_level` replaces
    what is known of some distributions: a `TopLevel` by directory name. `seal` is the value of the line
    `sealed`, as bytes.
    """
    names_of = [(top_level or {}).get(os.fsdecode(row.file_name), row.top_level) for row in rows]
    groups = {}
    for number, row in enumerate(rows):
        for place, (group, name, value) in enumerate(row.entries or ()):
            line = f"{number}\t{place}\t{name}\t{value}\n"
            groups.setdefault(group.encode(), []).append(line.encode())

    body = b""

    def append(data):
        nonlocal body
        place = b"%d\t%d\t%d" % (len(body), len(data), check(data))
        body += data
        return place

    def spelled(value):
        return b"-" if value is None else b" ".join(b"%d" % number for number in value)

    table = append(
        b"".join(
            escape(row.file_name)
            + "\t{}\t{}\t{}\t{}\n".format(row.flags(), row.key, row.name or "", row.version or "").encode()
            for row in rows
        )
    )
    group_lines = [append(b"".join(groups[name])) + b"\t" + name + b"\n" for name in sorted(groups)]
    order = append(b"".join(b"%07d\n" % position for position in order))
    stamps = append(b"".join(b"\t".join(map(spelled, row.stamps)) + b"\n" for row in rows))

    def names(names):
        if isinstance(names, (set, frozenset)):
            # A directory is sorted behind a file of its name.
            names = sorted(names, key=lambda name: (name.rstrip("/").encode(), name.endswith("/")))
        return b" ".join(map(spelled_name, names))

    top_levels = append(
        b"".join(
            b"\t".join(
                [*map(spelled, row.stamps), row.kind.encode(), names(row.names), names(row.python_names)]
            )
            + b"\n"
            for row in names_of
        )
    )
    missing = append(
        b"".join(b"%d\t%b\n" % (n, names(row.missing)) for n, row in enumerate(names_of) if row.missing)
    )

    keys = [row.key for row in rows]
    header = b"site\t" + b"\t".join(b"%d" % number for number in site_stamp) + b"\n"
    header += b"settled\t" + (b"yes" if settled else b"no") + b"\n"
    header += b"count\t%d\n" % len(rows)
    for name, numbers in [
        (b"unsettled", unsettled),
        (b"duplicates", [n for n, key in enumerate(keys) if not key or keys.count(key) > 1]),
        (b"opaque", [n for n, row in enumerate(rows) if row.entries is None]),
    ]:
        if numbers:
            header += name + b"\t" + b" ".join(b"%d" % number for number in numbers) + b"\n"
    if seal is not None:
        header += b"sealed\t" + seal + b"\n"
    for path in sorted(map(os.fsencode, without)):
        found = os.stat(path)
        numbers = found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
        header += b"without\t" + spelled(numbers) + b"\t" + escape(path) + b"\n"
    for name, place in [
        (b"distributions", table),
        (b"order", order),
        (b"stamps", stamps),
        (b"top-level", top_levels),
        (b"missing", missing),
    ]:
        header += b"segment\t" + name + b"\t" + place + b"\n"
    header += b"groups\t%d\n" % len(group_lines) + b"".join(group_lines)

    length = 16 + 35 + len(header)
    lengths = b"%012d %010d %010d\n" % (length + len(body) + 4, length, check(header))
    return b"epcache-index " + version + b"\n" + lengths + header + body + b"end\n"


def sealed(site, now, witnesses=()):
    """The line `sealed` for an index of `site` that is given this time, in seconds."""
    names = check(b"\0".join(sorted(os.listdir(os.fsencode(site)))))
    value = b"%d\t%d" % (now, names)
    for path in sorted(map(os.fsencode, witnesses)):
        if os.path.exists(path):
            found = os.stat(path)
            size = found.st_size if os.path.isfile(path) else 0
            value += b"\t%d %d " % (found.st_mtime_ns // 10**9, size)
        else:
            value += b"\t- - "
        value += escape(path)
    return value


def write(site, path=None, *, seal=None, **options):
    """Make the index of `site`, in the sidecar unless `path` says otherwise; return its path.

    It is sealed if `seal` is a list of witnesses.
    """
    if path is None:
        path = os.path.join(site, ".epcache", "index")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    rows, order = rows_of(site)
    now = int(time.time())
    line = None if seal is None else sealed(site, now, seal)
    data = render(stamp(site), rows, order, seal=line, **options)
    replace(path, data)
    if seal is not None:
        os.utime(path, (now, now))
    return path


def replace(path, data):
    """Put an index in place as its writer must: whole, by a rename."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)
