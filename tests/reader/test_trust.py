"""An index is not trusted for code. If its owner could not change a distribution itself, its values are
confirmed by the distribution before they are used."""

import os
import pathlib
import subprocess

import pytest
from support import index_writer
from support.environments import add
from support.interpreters import READER

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files of other users can't be made")

UNTRUSTED_UID = 12345

PREPARE = """
import epcache
def refused(action):
    try:
        action()
    except epcache.TamperedIndexError as error:
        assert 'hint: epcache refresh --full ' in str(error) and '.epcache/index: ' in str(error), error
        return True
    return False
"""


@pytest.fixture
def site(tmp_path):
    """A directory of another user than the reader; its index names other objects than its distributions."""
    site = tmp_path / "site"
    add(site, "foo-1.dist-info", "[g]\na = os.path:join\nb = os:sep\n[h]\nc = os:name\n")
    add(site, "plain-1.dist-info", "[k]\np = os:path\n")
    (site / ".epcache").mkdir()
    os.chown(site, UNTRUSTED_UID, UNTRUSTED_UID)
    return site


def write(site, owner=UNTRUSTED_UID, change=None):
    rows, order = index_writer.rows_of(str(site))
    if change:
        change(rows)
    data = index_writer.render(index_writer.stamp(site), rows, order)
    path = site / ".epcache" / "index"
    index_writer.replace(str(path), data)
    os.chown(path, owner, owner)


def tamper(rows):
    for row in rows:
        row.entries = [
            (group, name, value.replace("os.path:join", "evil:run")) for group, name, value in row.entries
        ]


def run(python, site, code):
    paths = f"import sys; sys.path[:0] = [{str(site.parent)!r}, {str(site)!r}, {str(READER)!r}]\n"
    done = subprocess.run(
        [python, "-S", "-E", "-W", "error", "-c", paths + PREPARE + code],
        capture_output=True,
        text=True,
        env={"HOME": str(site)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


OWN = """
found = epcache.entry_points(group='g')
assert found.names == {'a', 'b'} and found.groups == {'g'} and found['a'].dist.metadata['Name'] == 'foo'
a, b = found['a'], found['b']
for use in ('value', 'module', 'attr', 'extras', 'load'):
    assert refused(lambda: getattr(a, use)) or refused(lambda: a.load())
assert refused(lambda: repr(a)) and refused(lambda: a == b) and refused(lambda: hash(a))
assert refused(lambda: epcache.entry_points(group='g', value='evil:run'))
assert b.value == 'os:sep' and b.load() == '/'
assert epcache.entry_points(group='h')['c'].value == 'os:name'
"""


def test_a_value_that_the_distribution_does_not_declare_is_refused(python, site):
    write(site, change=tamper)
    run(python, site, OWN)


def test_undeclared_values_are_refused_for_all_groups_at_once(python, site):
    write(site, change=tamper)
    run(python, site, "a = epcache.entry_points().select(group='g', name='a')['a']\nassert refused(a.load)")


def test_indexes_of_root_and_of_the_reader_need_no_confirmation(python, site):
    # A user who may write as root can change the distribution itself.
    write(site, owner=0, change=tamper)
    run(python, site, "assert epcache.entry_points(group='g')['a'].value == 'evil:run'")


def test_one_file_is_read_for_each_distribution_that_is_used(python, site):
    write(site)
    code = """
read = []
sys.addaudithook(lambda event, arguments: event == 'open' and str(arguments[0]).endswith('.txt') and read.append(arguments[0]))
found = epcache.entry_points()
names = found.names, found.groups
assert read == []
a, b, c = [found.select(name=name)[name] for name in 'abc']
assert (a.value, b.value, c.value, a.value) == ('os.path:join', 'os:sep', 'os:name', 'os.path:join')
assert len(read) <= 1, read
assert 'importlib.metadata' not in sys.modules
"""
    run(python, site, code)


ACCELERATED = """
epcache.accelerate()
import importlib.metadata as M
if sys.version_info < (3, 10):
    assert refused(lambda: M.entry_points())
elif issubclass(M.EntryPoint, tuple):
    assert refused(lambda: M.entry_points(group='g'))
    assert [ep.value for ep in M.entry_points(group='k')] == ['os:path']
else:
    found = M.entry_points(group='g')
    assert found.names == {'a', 'b'} and isinstance(found['a'], M.EntryPoint)
    assert refused(lambda: found['a'].value) and refused(found['a'].load) and refused(lambda: found['a'].module)
    assert refused(lambda: found['a'] == found['b'])
    assert found['b'].load() == '/'
    import pickle
    assert type(pickle.loads(pickle.dumps(found['b']))) is M.EntryPoint
    assert refused(lambda: pickle.dumps(found['a']))
    points = {ep.name: ep for ep in M.distribution('foo').entry_points}
    assert refused(points['a'].load) and points['c'].load() == 'posix'
"""


def test_accelerated_programs_are_protected_too(python, site):
    write(site, change=tamper)
    run(python, site, ACCELERATED)


REBUILT = """
import os
if library == 'accelerated':
    epcache.accelerate()
    import importlib.metadata as M
else:
    M = epcache
def ask(group):
    return M.entry_points(group=group) if sys.version_info >= (3, 10) or M is epcache else M.entry_points()[group]
# Values that have been confirmed once are kept; tuples are when they are made.
kept = [] if issubclass(M.EntryPoint, tuple) else list(ask('g'))
before = os.stat(sys.path[1])
file = sys.path[1] + '/foo-1.dist-info/entry_points.txt'
with open(file + '.new', 'w') as new:
    new.write('[g]\\na = os:linesep\\nb = os:sep\\n')
os.rename(file + '.new', file)
assert os.stat(sys.path[1]) == before  # so that the index gives the site proof
assert sorted((ep.name, ep.value) for ep in ask('g')) == [('a', 'os:linesep'), ('b', 'os:sep')]
assert all(ep.load() == os.linesep for ep in kept if ep.name == 'a')
"""


@pytest.mark.parametrize("library", ["own", "accelerated"])
def test_a_package_rebuilt_meanwhile_is_not_reported_as_tampered_with(python, site, library):
    write(site)
    run(python, site, f"library = {library!r}\n{REBUILT}")


@pytest.mark.parametrize("name", ["../elsewhere-1.dist-info", "/tmp/elsewhere-1.dist-info", "foo.txt"])
def test_a_row_can_not_name_a_file_outside_the_distribution(python, site, name):
    add(site.parent, "elsewhere-1.dist-info", "[g]\nz = os:name\n")

    def mislead(rows):
        rows[0].file_name = name.encode()

    write(site, change=mislead)
    code = """
import warnings
warnings.simplefilter('ignore')
for dist in epcache.distributions():
    assert 'elsewhere' not in str(dist._path) or dist._path.parent.name != 'site'
assert epcache.version('foo') == '1'
assert {ep.value for ep in epcache.entry_points(name='a')} == {'os.path:join'}
"""
    run(python, site, code)


def test_a_link_in_place_of_the_file_does_not_confirm(python, site):
    write(site, change=tamper)
    file = site / "foo-1.dist-info" / "entry_points.txt"
    elsewhere = pathlib.Path(site.parent, "forged")
    elsewhere.write_text("[g]\na = evil:run\n")
    file.unlink()
    file.symlink_to(elsewhere)
    write(site, change=lambda rows: None)
    # Now the distribution itself is opaque: its values are read through the link, as CPython does.
    run(python, site, "assert epcache.entry_points(group='g')['a'].value == 'evil:run'")


def test_a_value_from_a_replaced_index_is_still_confirmed(python, site):
    write(site)
    code = """
import os
before = {ep.name: ep for group in 'gh' for ep in epcache.entry_points(group=group)}
index = sys.path[1] + '/.epcache/index'
os.rename(index, index + '.old')
assert (before['a'].value, before['c'].value) == ('os.path:join', 'os:name')
"""
    run(python, site, code)
    # The row is unknown by now, so it may have changed; the value that is used is the distribution's own.
    write(site, change=tamper)
    run(python, site, code)


def test_values_are_confirmed_despite_a_damaged_table(python, site):
    write(site)
    index = site / ".epcache" / "index"
    data = index.read_bytes()
    assert data.count(b"foo-1.dist-info") == 1
    index.write_bytes(data.replace(b"foo-1.dist-info", bytes(15)))
    run(
        python,
        site,
        "assert {ep.value for ep in epcache.entry_points(group='g')} == {'os.path:join', 'os:sep'}",
    )
