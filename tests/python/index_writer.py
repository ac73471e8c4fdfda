"""A second implementation of docs/index-format.md, written from that page alone.

It makes indexes for the tests of the reader, among them some that the tool would not make, and what
it says of a real environment is compared with what the tool writes. It is slow and plain on
purpose, and takes its parser from `importlib.metadata` where that is the authority.
"""

import email
import os
import re

PRIME = 1073741789
SUFFIXES = (b".dist-info", b".egg-info")


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
        self.key = normalize(name) if has_key(name) else ""

    def flags(self):
        return "".join(
            flag
            for flag, is_set in [
                ("e", self.entries is None),
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


def render(site_stamp, rows, order, *, settled=True, unsettled=(), version=b"1"):
    """The bytes of an index."""
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
    for name, place in [(b"distributions", table), (b"order", order), (b"stamps", stamps)]:
        header += b"segment\t" + name + b"\t" + place + b"\n"
    header += b"groups\t%d\n" % len(group_lines) + b"".join(group_lines)

    length = 16 + 35 + len(header)
    lengths = b"%012d %010d %010d\n" % (length + len(body) + 4, length, check(header))
    return b"epcache-index " + version + b"\n" + lengths + header + body + b"end\n"


def write(site, path=None, **options):
    """Make the index of `site`, in the sidecar unless `path` says otherwise; return its path."""
    if path is None:
        path = os.path.join(site, ".epcache", "index")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    rows, order = rows_of(site)
    data = render(stamp(site), rows, order, **options)
    replace(path, data)
    return path


def replace(path, data):
    """Put an index in place as its writer must: whole, by a rename."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)
