"""Answering from a fresh index imports nothing that a bare interpreter has not imported already."""

import json
import os
import subprocess

import pytest
from support import index_writer
from support.environments import add
from support.interpreters import READER

QUERIES = """
assert [ep.value for ep in epcache.entry_points(group='g')] == ['m:f', 'm:h'], epcache.entry_points()
assert len(epcache.entry_points(name='a')) == 1
assert len(epcache.entry_points()) == 3
assert epcache.entry_points(group='g')['b'].group == 'g'
assert repr(epcache.entry_points(group='h')).startswith('(EntryPoint(')
"""


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    # A duplicate, so that the table of distributions is read as well.
    add(site, "foo-1.dist-info", "[g]\na = m:f\nb = m:h\n[h]\nc = m:f\n")
    add(site, "foo_bar-1.dist-info")
    add(site, "foo.bar-2.egg-info")
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    return site


def loaded(python, flags, code, **environment):
    variables = {name: value for name, value in os.environ.items() if name != "EPCACHE"}
    done = subprocess.run(
        [python, *flags, "-c", code], capture_output=True, text=True, env={**variables, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return set(json.loads(done.stdout))


# Printed without json, which is one of the modules that must not be loaded.
SHOW = "import sys; print('[' + ', '.join('\"%s\"' % name for name in sys.modules) + ']')"


@pytest.mark.parametrize("flags", [["-S", "-E"], ["-S", "-I"], ["-S", "-s", "-E", "-B"]], ids=" ".join)
def test_a_fresh_index_needs_no_additional_imports(python, site, flags):
    bare = loaded(python, flags, SHOW)
    assert not bare & {"os", "re", "collections", "functools", "warnings", "json", "importlib.metadata"}
    add_paths = f"import sys; sys.path[:0] = [{str(site)!r}, {str(READER)!r}]\nimport epcache\n"
    used = loaded(python, flags, f"{add_paths}{QUERIES}\n{SHOW}")
    assert {name for name in used - bare if name.partition(".")[0] != "epcache"} == set()
    assert "epcache._parse" not in used


ASKING = """
import importlib.metadata as M
before = set(sys.modules)
{question}
print('[' + ', '.join('"%s"' % name for name in sorted(set(sys.modules) - before)) + ']')
"""
MISSING = """
try:
    M.version('none')
except M.PackageNotFoundError as error:
    assert str(error) == 'No package metadata was found for none' or sys.version_info < (3, 11), str(error)
else:
    raise SystemExit(1)
"""


@pytest.mark.parametrize(
    "question, imported",
    [("assert M.version('foo') == '1'", ["epcache"]), (MISSING, ["epcache"]), ("M.entry_points()", None)],
    ids=["version", "missing", "entry_points"],
)
def test_a_version_needs_no_more_than_the_hot_path(python, tmp_path, question, imported):
    site = tmp_path / "site"
    add(site, "foo-1.dist-info", "[g]\na = m:f\n")
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    paths = f"import sys; sys.path[:0] = [{str(site)!r}, {str(READER)!r}]\n"
    accelerated = f"{paths}import epcache_startup; epcache_startup.enable('accelerate')\n"
    code = accelerated + ASKING.format(question=question)
    found = loaded(python, ["-S", "-E"], code)
    assert found == set(imported) if imported else len(found) > 5
    own = f"{paths}import epcache\nassert epcache.version('foo') == '1'\n{SHOW}"
    bare = loaded(python, ["-S", "-E"], SHOW)
    assert loaded(python, ["-S", "-E"], own) - bare == {"epcache"}


def test_a_stale_index_needs_no_imports_beyond_the_warning(python, site):
    add(site, "new-1.dist-info", "[g]\nn = m:n\n")
    add_paths = f"import sys; sys.path[:0] = [{str(site)!r}, {str(READER)!r}]\nimport warnings, epcache\n"
    query = (
        "warnings.simplefilter('ignore')\n"
        "assert sorted(epcache.entry_points(group='g').names) == ['a', 'b', 'n']\n"
        "assert 'importlib.metadata' not in sys.modules\n"
        "assert epcache.entry_points(group='g')['n'].dist.version == '1'\n"
    )
    assert "importlib.metadata" in loaded(python, ["-S", "-E"], f"{add_paths}{query}{SHOW}")


def test_without_an_index_the_disk_reader_is_imported(python, site):
    # Shows that the test above can fail.
    add_paths = f"import sys; sys.path[:0] = [{str(site)!r}, {str(READER)!r}]\nimport epcache\n"
    used = loaded(python, ["-S", "-E"], f"{add_paths}{QUERIES}\n{SHOW}", EPCACHE="off")
    assert "epcache._parse" in used


def test_works_in_an_ordinary_isolated_interpreter(python, site):
    add_paths = f"import sys; sys.path[:0] = [{str(site)!r}, {str(READER)!r}]\nimport epcache\n"
    # The interpreter's site directory, with pip in it, is used too.
    query = "assert len(epcache.entry_points(group='g')) == 2 and 'pip' in epcache.entry_points().names"
    assert "epcache._parse" in loaded(python, ["-I"], f"{add_paths}{query}\n{SHOW}")


# What the reader and importlib use of `posix`, which every POSIX system has.
EVERYWHERE = """
    O_CLOEXEC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_RDONLY close environ error fspath fstat getcwd geteuid getuid
    listdir lstat open pread read stat
""".split()


@pytest.mark.parametrize("state", ["fresh", "stale", "absent"])
def test_the_reader_needs_nothing_that_linux_alone_has(python, site, state):
    if state == "stale":
        add(site, "new-1.dist-info")
    if state == "absent":
        (site / ".epcache/index").unlink()
    code = f"""
import importlib.metadata, posix, pwd, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = [{str(site)!r}, {str(READER)!r}]
for name in set(dir(posix)) - set({EVERYWHERE}):
    if not name.startswith("__"):
        delattr(posix, name)
import epcache
{QUERIES}
epcache.accelerate()
names = [dist.metadata["Name"] for dist in importlib.metadata.distributions()]
assert {{"foo", "foo_bar", "foo.bar"}} <= set(names), names
assert importlib.metadata.version("foo") == epcache.version("foo") == "1"
print("[]")
"""
    assert loaded(python, ["-S", "-E", "-B"], code) == set()
