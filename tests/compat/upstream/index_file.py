"""Changes an index that the tool wrote, as a later writer or a forger would.

Offsets in an index count from the end of its header. So header lines can be removed, and bytes of
the body replaced by as many others, if the checksums are corrected (docs/reference/index-format.md).
"""

import os

PRIME = 1073741789
PREFIX = 51  # the magic line and the line of lengths
END = b"end\n"


def check(data):
    return b"%010d" % (int.from_bytes(data, "little") % PRIME)


def parts(path):
    """The lines of the header from the third on, and the body without the end mark."""
    with open(path, "rb") as file:
        data = file.read()
    assert data.startswith(b"epcache-index 1\n") and data.endswith(END), path
    length = int(data[29:39])
    return data[PREFIX:length].splitlines(keepends=True), data[length : -len(END)]


def replace(path, header, body):
    """Replace an index by a rename, with correct checksums."""
    lines = []
    for line in header:
        fields = line[:-1].split(b"\t")
        if fields[0] == b"segment":
            at = 2
        elif len(fields) == 4 and fields[0].isdigit():
            at = 0
        else:
            at = None
        if at is not None:
            start, length = int(fields[at]), int(fields[at + 1])
            fields[at + 2] = b"%d" % int(check(body[start : start + length]))
            line = b"\t".join(fields) + b"\n"
        lines.append(line)
    head = b"".join(lines)
    length = PREFIX + len(head)
    lengths = b"%012d %010d %s\n" % (length + len(body) + len(END), length, check(head))
    with open(path + ".new", "wb") as file:
        file.write(b"epcache-index 1\n" + lengths + head + body + END)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


def count(path):
    """The number of distributions that an index describes."""
    header, _ = parts(path)
    return next(int(line.split(b"\t")[1]) for line in header if line.startswith(b"count\t"))


def settle(path):
    """Mark an index as settled, as the tool would some seconds later."""
    header, body = parts(path)
    header = [line for line in header if not line.startswith(b"unsettled\t")]
    replace(path, [b"settled\tyes\n" if line == b"settled\tno\n" else line for line in header], body)


def forge(path, old, new):
    """Replace a text in an index, so that an answer shows that it came from the index."""
    assert len(old) == len(new)
    header, body = parts(path)
    assert old in body, old
    replace(path, header, body.replace(old, new))
