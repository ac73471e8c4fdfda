"""A second reader of the index, written from docs/reference/index-format.md alone.

It checks everything that the page requires and takes no short cut, so the tests do not depend on the
readers that they test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAGIC = b"epcache-index 1\n"
MODULUS = 1073741789


@dataclass
class Distribution:
    directory: str
    flags: str
    name: str | None
    version: str | None
    entry_points: list  # of [group, name, value], in the order of the file
    stamps: list
    top_level: TopLevel | None = None
    requirements: list | None = None  # of (header, value), in the order of the file; None: opaque
    contents: list | None = None  # length and hash of the metadata and of entry_points.txt, or None


@dataclass
class TopLevel:
    kind: str
    names: list
    python_names: list
    missing: list
    stamps: list  # of top_level.txt and of the list of files


@dataclass
class Seal:
    time: int
    names: int  # the hash of all names
    witnesses: dict  # (seconds, size), or None, by path (bytes)


@dataclass
class Index:
    site_stamp: list
    settled: bool
    unsettled: list
    distributions: dict  # by directory name, in the order in which importlib.metadata finds them
    without: dict  # stamps of directories without distributions, by path (bytes)
    seal: Seal | str | None = None  # "contents" where no time is recorded


def check(data):
    return int.from_bytes(data, "little") % MODULUS


def numbers(text):
    return [int(number) for number in text.split(b" ")]


def parse(data):
    """The Index in the bytes of a file; raises AssertionError for what the format forbids."""
    assert data.startswith(MAGIC), data[:40]
    second = data[len(MAGIC) :].split(b"\n", 1)[0]
    assert re.fullmatch(rb"\d{12} \d{10} \d{10}", second), second
    length, header_length, header_check = numbers(second)
    assert length == len(data)
    assert data.endswith(b"end\n")
    header = data[len(MAGIC) + len(second) + 1 : header_length]
    assert check(header) == header_check
    lines = header.decode().split("\n")
    assert lines.pop() == ""

    def part(offset, size, expected):
        found = data[header_length + offset : header_length + offset + size]
        assert len(found) == size and check(found) == expected
        assert found == b"" or found.endswith(b"\n")
        return found.decode().split("\n")[:-1]

    fields, segments, groups, without = {}, {}, {}, {}
    while lines:
        key, *rest = lines.pop(0).split("\t")
        if key == "segment":
            segments[rest[0]] = part(*map(int, rest[1:]))
        elif key == "without":
            without[_unescaped(rest[1])] = _numbers(rest[0])
        elif key == "groups":
            for line in lines:
                offset, size, expected, name = line.split("\t")
                groups[name] = part(int(offset), int(size), int(expected))
            assert len(groups) == int(rest[0])
            break
        else:
            fields[key] = rest
    assert list(groups) == sorted(groups, key=str.encode)
    rows = [_row(line) for line in segments["distributions"]]
    assert [row.directory.encode("utf-8", "surrogateescape") for row in rows] == sorted(
        row.directory.encode("utf-8", "surrogateescape") for row in rows
    )
    assert list(without) == sorted(without)
    lengths = {
        name: len(segments[name])
        for name in ("distributions", "order", "stamps", "top-level", "requirements", "contents")
    }
    assert set(lengths.values()) == {int(fields["count"][0])}, lengths
    missing = dict(line.split("\t") for line in segments["missing"])
    for number, row in enumerate(rows):
        row.stamps = [_numbers(stamp) for stamp in segments["stamps"][number].split("\t")]
        row.requirements = _requirements(segments["requirements"][number])
        row.contents = [_numbers(field) for field in segments["contents"][number].split("\t")]
        row.top_level = _top_level(segments["top-level"][number], missing.pop(str(number), ""))
    assert not missing, missing
    placed = {number: {} for number in range(len(rows))}
    for group, lines in groups.items():
        points = [line.split("\t") for line in lines]
        keys = [(int(row), int(place)) for row, place, _, _ in points]
        assert keys == sorted(keys) and points
        for (row, place), (_, _, name, value) in zip(keys, points):
            assert place not in placed[row]
            placed[row][place] = [group, name, value]
    for number, row in enumerate(rows):
        assert sorted(placed[number]) == list(range(len(placed[number])))
        row.entry_points = [placed[number][place] for place in sorted(placed[number])]
    assert sorted(map(int, segments["order"])) == list(range(len(rows)))
    in_order = [row for _, row in sorted(zip(map(int, segments["order"]), rows), key=lambda pair: pair[0])]
    return Index(
        site_stamp=[int(number) for number in fields["site"]],
        settled={"yes": True, "no": False}[fields["settled"][0]],
        unsettled=[rows[int(row)].directory for row in fields.get("unsettled", [""])[0].split()],
        distributions={row.directory: row for row in in_order},
        without=without,
        seal=_seal(fields["sealed"]) if "sealed" in fields else None,
    )


def _seal(fields):
    if fields == ["contents"]:
        return "contents"
    time, names, *witnesses = fields
    found = {}
    for witness in witnesses:
        seconds, size, path = witness.split(" ", 2)
        assert (seconds == "-") == (size == "-"), witness
        found[_unescaped(path)] = None if seconds == "-" else (int(seconds), int(size))
    assert list(found) == sorted(found)
    return Seal(int(time), int(names), found)


def names_hash(names):
    """The hash of the names (bytes) of a listing, as in a sealed index."""
    return int.from_bytes(b"\0".join(sorted(names)), "little") % ((1 << 60) - 93)


def _numbers(text):
    return None if text == "-" else [int(number) for number in text.split(" ")]


def _unescaped(text):
    return re.sub(rb"%([0-9A-F]{2})", lambda found: bytes.fromhex(found.group(1).decode()), text.encode())


def _top_level(line, missing):
    *stamps, kind, names, python_names = line.split("\t")
    assert kind in ("declared", "inferred", "none", "opaque"), line
    assert bool(names or python_names) == (kind in ("declared", "inferred")), line
    assert not python_names or kind == "inferred", line
    assert not missing or kind in ("inferred", "none"), (line, missing)
    lists = [
        [_unescaped(name).decode() for name in field.split(" ") if name]
        for field in (names, python_names, missing)
    ]
    return TopLevel(kind, *lists, stamps=[_numbers(stamp) for stamp in stamps])


def _requirements(line):
    if line == "-":
        return None
    headers = {"d": "Requires-Dist", "e": "Provides-Extra", "p": "Requires-Python"}
    return [(headers[field[0]], field[1:]) for field in line.split("\t")] if line else []


def _row(line):
    directory, flags, _key, name, version = line.split("\t")
    return Distribution(
        directory=_unescaped(directory).decode("utf-8", "surrogateescape"),
        flags=flags,
        name=None if "n" in flags else name,
        version=None if "v" in flags else version,
        entry_points=[],
        stamps=[],
    )
