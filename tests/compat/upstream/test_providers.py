"""Rules of `importlib_metadata` that the suites do not test, where an index is used.

Newer releases list entry points of distributions without metadata last, and convert distributions that a
provider makes from `importlib.metadata`'s classes.
"""

import json
import os
import subprocess

import pytest
from support.checkout import READER, debug_program

from . import suites

PROGRAM = """
import importlib.metadata, json, pathlib, sys
accelerated, first, second, provided = sys.argv[1:]
if accelerated:
    import epcache
    epcache.accelerate()
import importlib_metadata

class Provider:
    def find_spec(self, *arguments):
        return None

    def find_distributions(self, context):
        found = sorted(pathlib.Path(provided).glob("*.dist-info"))
        if sys.version_info < (3, 10):
            # There, importlib_metadata can't do with those that have no name.
            found = [each for each in found if (each / "METADATA").exists()]
        return map(importlib.metadata.PathDistribution, found)

sys.path[:0] = [first, second]
sys.meta_path.insert(0, Provider())
found = importlib_metadata.entry_points(group="songs")
# Those of 3.9's own classes do not know their distribution.
dists = [getattr(each, "dist", None) for each in found]
print(json.dumps({
    "values": [[each.name, each.value] for each in found],
    "distributions": [dist and str(dist._path) for dist in dists],
    "own": [isinstance(dist, importlib_metadata.Distribution) for dist in dists],
    "kinds": [type(each).__module__ for each in found],
}))
"""


def distribution(site, name, value, metadata=True, entry_points=True):
    info = site / f"{name}.dist-info"
    info.mkdir(parents=True)
    if metadata:
        stem, _, version = name.partition("-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {stem}\nVersion: {version}\n")
    if entry_points:
        (info / "entry_points.txt").write_text(f"[songs]\n{name} = {value}:sing\n")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Two site directories, the first with an index, and a provider."""
    first, second, provided = (tmp_path_factory.mktemp(name) for name in ("first", "second", "provided"))
    for name, metadata in [("empty-1", False), ("whole-1", True), ("half-1", False), ("shadow-1", False)]:
        distribution(first, name, "first", metadata)
    # No metadata, and no other file.
    distribution(first, "late-1", "first", metadata=False, entry_points=False)
    for name, metadata in [("half-2", True), ("late-2", True), ("whole-2", True), ("void-1", False)]:
        distribution(second, name, "second", metadata)
    for name, metadata in [("shadow-2", True), ("foreign-1", True), ("empty-2", False)]:
        distribution(provided, name, "provided", metadata)
    suites.run(debug_program(), "refresh", first)
    return [str(first), str(second), str(provided)]


@pytest.mark.parametrize("version", suites.wanted())
def test_distributions_without_metadata_and_of_providers_keep_their_place(version, paths):
    python, _ = suites.environment(version)
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("EPCACHE", "PYTHON"))
    }
    variables["PYTHONPATH"] = os.pathsep.join([str(READER), str(suites.sdist("importlib_metadata", version))])
    answers = []
    for accelerated in ("", "yes"):
        command = [str(python), "-B", "-c", PROGRAM, accelerated, *paths]
        done = subprocess.run(command, check=False, env=variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    plain, accelerated = answers
    assert accelerated == plain
    # The compared lists are not empty.
    names = [name for name, _ in plain["values"]]
    assert {"foreign-1", "whole-1", "void-1"} < set(names)
    if suites.BACKPORTS["importlib_metadata"][version].startswith("10."):
        assert set(names[-2:]) == {"empty-2", "void-1"}
        assert "half-2" in names and "half-1" not in names
        assert set(plain["kinds"]) == {"importlib_metadata"}
