"""Prints what this interpreter's own importlib.metadata returns, for a comparison with epcache.

    oracle.py TASK CASES

CASES holds records: a length (4 bytes, little-endian) and that many bytes. For each of them a line of
JSON is printed. The tasks:

entry-points   the record is the content of an entry_points.txt: [[group, name, value], ...]
metadata       of a METADATA: [Name, Version, [all Requires-Dist, all Provides-Extra, all Requires-Python]]
files          of an entry_points.txt, read from a real file in a real directory
sites          the record is the path of a site directory: what is found there, and what
               epcache.entry_points() finds there
top-level      the record is the path of a site directory, beside which an index of it lies under
               the name with ".index" behind it: what packages_distributions() finds, and what
               follows from the index

index          the record is the content of an index: what epcache reads in it
configuration  of a config.toml: site-directories by tomllib, null if there is no such key

Where CPython raises, the answer is {"raises": class}.
"""

import importlib.machinery
import importlib.metadata
import io
import json
import os
import sys
import tempfile
import warnings

# Without site-packages (option -S), no directory on sys.path holds distributions.
TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path += [os.path.join(TESTS, "..", "python"), TESTS]
import epcache

warnings.simplefilter("ignore")


REQUIREMENTS = ("Requires-Dist", "Provides-Extra", "Requires-Python")


class InMemory(importlib.metadata.Distribution):
    """A distribution of one file. Everything but the opening of the file is importlib.metadata's code."""

    def __init__(self, file_name, data):
        self.file_name = file_name
        self.data = data

    def read_text(self, filename):
        if filename != self.file_name:
            return None
        # As pathlib.Path.read_text does with an open file.
        return io.TextIOWrapper(io.BytesIO(self.data), encoding="utf-8").read()

    def locate_file(self, path):
        raise FileNotFoundError(path)


def attempt(question, *about):
    try:
        return question(*about)
    except Exception as error:  # noqa: BLE001
        return {"raises": type(error).__name__}


def triples(entry_points):
    return [[entry.group, entry.name, entry.value] for entry in entry_points]


def entry_points(data):
    return triples(InMemory("entry_points.txt", data).entry_points)


def metadata(data):
    dist = InMemory("METADATA", data)
    requirements = [dist.metadata.get_all(name) or [] for name in REQUIREMENTS]
    return [dist.metadata["Name"], dist.version, requirements]


def files(data):
    with tempfile.TemporaryDirectory() as site:
        directory = os.path.join(site, "foo-1.dist-info")
        os.mkdir(directory)
        with open(os.path.join(directory, "entry_points.txt"), "wb") as file:
            file.write(data)
        (dist,) = importlib.metadata.distributions(path=[site])
        return triples(dist.entry_points)


def sites(data):
    site = os.fsdecode(data)
    sys.path.insert(0, site)
    try:
        everything = attempt(lambda: flat(importlib.metadata.entry_points()))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", epcache.StaleIndexWarning)
            reader = attempt(lambda: flat(epcache.entry_points()))
    finally:
        sys.path.remove(site)
    return {
        "distributions": [described(dist) for dist in importlib.metadata.distributions(path=[site])],
        "entry_points": everything,
        "reader": reader,
        "warnings": [str(warning.message) for warning in caught],
    }


def flat(found):
    """Up to 3.11, entry_points() returns a dictionary."""
    if isinstance(found, dict):
        found = [entry for group in found.values() for entry in group]
    return triples(found)


def described(dist):
    return {
        "file_name": list(os.fsencode(os.path.basename(str(dist._path)))),
        "key": attempt(lambda: os.fsencode(dist._normalized_name).decode("utf-8", "replace")),
        "identity": attempt(lambda: [dist.metadata["Name"], dist.version]),
        "entry_points": attempt(lambda: triples(dist.entry_points)),
    }


def top_level(data):
    """Every distribution by CPython and by the index, and the result for all of them."""
    from support import index_reader

    site = os.fsdecode(data)
    with open(site + ".index", "rb") as file:
        index = index_reader.parse(file.read())
    rows, combined, whole = [], {}, True
    for dist in importlib.metadata.distributions(path=[site]):
        row = index.distributions[os.path.basename(str(dist._path))].top_level
        cpython = attempt(names_of, dist)
        found = None if row.kind == "opaque" else names_by(row)
        rows.append({"directory": str(dist._path), "kind": row.kind, "cpython": cpython, "index": found})
        if isinstance(cpython, dict):
            whole = False
        for name in (cpython if found is None else found) if whole else ():
            combined.setdefault(name, []).append(dist.metadata["Name"])
    path, sys.path[:] = sys.path[:], [site]
    try:
        everything = attempt(importlib.metadata.packages_distributions)
    finally:
        sys.path[:] = path
    return {"rows": rows, "everything": everything, "combined": combined if whole else {"raises": "?"}}


def names_of(dist):
    """The names that packages_distributions() takes from a distribution."""
    if not hasattr(importlib.metadata, "_top_level_declared"):
        return (dist.read_text("top_level.txt") or "").split()
    declared = importlib.metadata._top_level_declared(dist)
    return declared or sorted(importlib.metadata._top_level_inferred(dist))


def names_by(row):
    """The names by the rules of docs/reference/index-format.md."""
    if row.kind == "declared":
        return row.names
    if sys.version_info < (3, 11):
        return []
    if sys.version_info < (3, 12):
        return sorted(row.python_names)
    names = set(map(module_name, row.names))
    return sorted(name for name in names if name is not None and "." not in name)


def module_name(name):
    if name.endswith("/"):
        return name[:-1]
    suffixes = sorted(importlib.machinery.all_suffixes(), key=len, reverse=True)
    stem = next((name[: -len(suffix)] for suffix in suffixes if name.endswith(suffix)), None)
    # Where the function exists, other files stand for themselves.
    return stem or name if hasattr(importlib.metadata, "_get_toplevel_name") else stem


def index(data):
    """Everything that the reader finds in an index."""
    from epcache import _sealed
    from epcache._table import Table

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        index = epcache.open_index(file.name, "/nowhere", os.geteuid())
    try:
        index.records(None)
        table = Table(index)
        sealed = None
        if index.sealed is not None:
            sealed = index.sealed.decode()
            if sealed != "contents":
                given, names, witnesses = _sealed._recorded(index)
                sealed = [given, names, [[spelled(path), state] for path, state in witnesses]]
        return {
            "site": index.site,
            "settled": index.settled,
            "unsettled": sorted(index.unsettled),
            "opaque": sorted(index.opaque),
            "order": index.positions().decode("ascii", "replace").split(),
            "rows": [row_of(table, row, name) for row, name in enumerate(table.names())],
            "without": {spelled(path): stamp for path, stamp in index.without.items()},
            "sealed": sealed,
        }
    finally:
        index.close()


def row_of(table, row, file_name):
    declared, listed, kind, names, python_names = table.top_level(row)
    stamps = map(stamp_of, [*table.stamps(row), declared, listed])
    return {
        "file_name": spelled(file_name),
        "key": table.key(row),
        "name": table.name(row),
        "version": table.version(row),
        "requirements": table.requirements(row),
        "stamps": list(stamps),
        "contents": list(map(stamp_of, table.contents(row))),
        "kind": kind,
        "names": names,
        "python_names": python_names,
        "missing": table.missing(row),
        "entry_points": table.entry_points(row),
    }


def stamp_of(field):
    """The numbers of a stamp. The reader only compares bytes, so an invalid stamp is possible."""
    try:
        return None if field == b"-" else [int(part) for part in field.split(b" ")]
    except ValueError:
        return repr(field)


def spelled(path):
    return os.fsencode(path).hex()


def configuration(data):
    import tomllib

    directories = tomllib.loads(data.decode()).get("site-directories")
    if directories is not None and not (
        isinstance(directories, list) and all(isinstance(directory, str) for directory in directories)
    ):
        raise TypeError
    return directories


def records(path):
    with open(path, "rb") as file:
        while True:
            length = file.read(4)
            if not length:
                return
            yield file.read(int.from_bytes(length, "little"))


TASKS = {
    "entry-points": entry_points,
    "metadata": metadata,
    "files": files,
    "sites": sites,
    "top-level": top_level,
    "index": index,
    "configuration": configuration,
}


def main():
    _, task, cases = sys.argv
    for record in records(cases):
        sys.stdout.write(json.dumps(attempt(TASKS[task], record)) + "\n")


main()
