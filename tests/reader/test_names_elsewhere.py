"""Asking by name what is in zip files and eggs, which no index describes."""

import json
import zipfile

import pytest
from support.interpreters import READER, run

CODE = """
import sys, json
reader, *sys.path[len(sys.path):] = json.loads(sys.argv[1])
sys.path.insert(0, reader)
import epcache
def version(name):
    try:
        return epcache.version(name)
    except epcache.PackageNotFoundError:
        return None
names = json.loads(sys.argv[2])
found = [[len(list(epcache.distributions(name=name))), version(name)] for name in names]
print(json.dumps(found))
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
    found = json.loads(run(python, "-S", "-E", "-c", CODE, json.dumps(path), json.dumps(names)))
    assert found == [[1, "1"], [1, "1"], [0, None], [0, None]]
