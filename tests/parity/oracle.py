"""What this interpreter's own importlib.metadata says, for a comparison with epcache.

    oracle.py TASK CASES

CASES holds records: a length (4 bytes, little-endian) and that many bytes. For each of them a line of
JSON is printed. The tasks:

entry-points   the record is the content of an entry_points.txt: [[group, name, value], ...]
metadata       of a METADATA: [Name, Version]
files          of an entry_points.txt, read from a real file in a real directory
sites          the record is the path of a site directory: what is found there, and what
               epcache.entry_points() finds there

Where CPython raises, the answer is {"raises": class}.
"""

import importlib.metadata
import io
import json
import os
import sys
import tempfile
import warnings

# Without site-packages (the option -S), nothing on sys.path holds a distribution.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import epcache  # noqa: E402

warnings.simplefilter("ignore")


class InMemory(importlib.metadata.Distribution):
    """A distribution of one file. All but the opening of the file is importlib.metadata's own."""

    def __init__(self, file_name, data):
        self.file_name = file_name
        self.data = data

    def read_text(self, filename):
        if filename != self.file_name:
            return None
        # What pathlib.Path.read_text does with an open file.
        return io.TextIOWrapper(io.BytesIO(self.data), encoding="utf-8").read()

    def locate_file(self, path):
        raise FileNotFoundError(path)


def attempt(question):
    try:
        return question()
    except Exception as error:
        return {"raises": type(error).__name__}


def triples(entry_points):
    return [[entry.group, entry.name, entry.value] for entry in entry_points]


def entry_points(data):
    return triples(InMemory("entry_points.txt", data).entry_points)


def metadata(data):
    dist = InMemory("METADATA", data)
    return [dist.metadata["Name"], dist.version]


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
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", epcache.StaleIndexWarning)
            reader = attempt(lambda: flat(epcache.entry_points()))
    finally:
        sys.path.remove(site)
    return {
        "distributions": [described(dist) for dist in importlib.metadata.distributions(path=[site])],
        "entry_points": everything,
        "reader": reader,
        "warnings": [str(warning.message) for warning in told],
    }


def flat(found):
    """Up to 3.11, entry_points() answers with a dictionary."""
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


def records(path):
    with open(path, "rb") as file:
        while True:
            length = file.read(4)
            if not length:
                return
            yield file.read(int.from_bytes(length, "little"))


TASKS = {"entry-points": entry_points, "metadata": metadata, "files": files, "sites": sites}


def main():
    _, task, cases = sys.argv
    for record in records(cases):
        sys.stdout.write(json.dumps(attempt(lambda: TASKS[task](record))) + "\n")


main()
