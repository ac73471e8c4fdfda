"""How changes reach the import system, under every interpreter."""

import json

from support.interpreters import READER, run

# mtimes are set by hand, as within one tick of a coarse clock.
SCRIPT = """
import importlib.metadata, json, os, sys
sys.path.insert(0, sys.argv[1])
from epcache.watcher import Watcher
first, second, missing = sys.argv[2:]
sys.path += [first, second, missing]
watcher = Watcher()
MTIME = 1_700_000_000_000_000_000

def freeze(place):
    os.utime(place, ns=(MTIME, MTIME))

def module(place, name):
    with open(os.path.join(place, name + ".py"), "w"):
        pass
    freeze(place)

def distribution(place, name):
    path = os.path.join(place, name + "-1.dist-info")
    os.mkdir(path)
    for file in ("METADATA", "RECORD", "INSTALLER"):
        with open(os.path.join(path, file), "w") as text:
            text.write(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n\\n")
    freeze(place)

def imports(name):
    try:
        __import__(name)
    except ModuleNotFoundError:
        return False
    return True

def knows(name):
    try:
        return importlib.metadata.version(name) == "1"
    except importlib.metadata.PackageNotFoundError:
        return False

for place in (first, second, os.path.join(first, "space")):
    freeze(place)
found = {"at first": [imports("one"), imports("two"), knows("one"), imports("space.part")]}
module(first, "one")
module(second, "two")
module(missing, "three") if os.path.isdir(missing) else None
distribution(first, "one")
module(os.path.join(first, "space"), "part")
found["before the poll"] = [imports("one"), imports("two"), knows("one"), imports("space.part")]
calls = []

class Finder:
    def __init__(self, place):
        self.place = place

    def find_spec(self, name, target=None):
        return None

    def invalidate_caches(self):
        calls.append(self.place)
        if self.place == first + "/broken":
            raise RuntimeError("of another finder")

for place in (second, first + "/broken", first + "/on the path", first + "x"):
    sys.path_importer_cache[place] = Finder(place)
sys.path.append(first + "/on the path")
# Only the first is polled.
changes = Watcher.poll(Watcher([second])), Watcher([first])
calls.clear()
with open(os.path.join(first, "moved"), "w"):
    pass
changes[1].poll()
freeze(first)
found["calls"] = sorted(calls)
found["after the poll"] = [imports("one"), knows("one"), imports("space.part")]
found["missing"] = imports("three")
os.mkdir(missing)
module(missing, "three")
found["not polled"] = imports("three")
watcher.poll()
found["appeared"] = imports("three")
print(json.dumps(found))
"""


def test_import_lists_only_the_changed_directory_again(python, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "space").mkdir(parents=True)
    second.mkdir()
    command = [python, "-S", "-E", "-B", "-c", SCRIPT, READER, first, second, tmp_path / "missing"]
    found = json.loads(run(*command))
    assert found["at first"] == [False] * 4
    # 3.9 caches no listing of distributions.
    old = "3.9" in run(python, "-V")
    assert found["before the poll"] == [False, False, old, False]
    assert found["calls"] == [f"{first}/broken"]
    assert found["after the poll"] == [True, True, True]
    assert found["missing"] is found["not polled"] is False
    assert found["appeared"] is True


def test_importlib_metadata_from_the_package_index_is_invalidated_as_well(python, real_site, tmp_path):
    code = """
import sys, os
sys.path[:0] = sys.argv[1:3]
import importlib_metadata
from epcache.watcher import Watcher
site = sys.argv[3]
sys.path.append(site)
watcher = Watcher([site])
os.utime(site, ns=(10**18, 10**18))
assert not list(importlib_metadata.distributions(name="one"))
os.mkdir(site + "/one-1.dist-info")
os.utime(site, ns=(10**18, 10**18))
assert not list(importlib_metadata.distributions(name="one"))
watcher.poll()
os.utime(site, ns=(10**18, 10**18))
assert list(importlib_metadata.distributions(name="one"))
"""
    site = tmp_path / "site"
    site.mkdir()
    run(python, "-S", "-E", "-B", "-c", code, READER, real_site, site)
