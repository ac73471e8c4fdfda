"""Queries by name for distributions in zip files and eggs, which no index describes.

There `epcache` finds what the running version's `importlib.metadata` finds.
"""

import json
import zipfile

import pytest
from support.interpreters import INTERPRETERS, READER, run

CODE = """
import sys, json
reader, *sys.path[len(sys.path):] = json.loads(sys.argv[1])
sys.path.insert(0, reader)
import importlib.metadata, epcache
def ask(module, name):
    try:
        return len(list(module.distributions(name=name))), module.version(name)
    except epcache.PackageNotFoundError:
        return 0, None
names = json.loads(sys.argv[2])
print(json.dumps([[ask(module, name) for name in names] for module in (epcache, importlib.metadata)]))
"""


@pytest.mark.parametrize(
    "entry, inside",
    [("lib.zip", "Foo.Bar-1.dist-info/METADATA"), ("foo_bar-1-py3.egg", "EGG-INFO/PKG-INFO")],
)
def test_only_distributions_of_that_name_are_found_in_zip_files_and_eggs(python, tmp_path, entry, inside):
    with zipfile.ZipFile(tmp_path / entry, "w") as file:
        file.writestr(inside, "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1\n")
    path = [str(READER), str(tmp_path / entry)]
    names = ["foo-bar", "FOO_BAR", "foo", "other"]
    ours, theirs = json.loads(run(python, "-S", "-E", "-c", CODE, json.dumps(path), json.dumps(names)))
    assert ours == theirs
    if python != INTERPRETERS["3.9"]:
        assert ours == [[1, "1"], [1, "1"], [0, None], [0, None]]
