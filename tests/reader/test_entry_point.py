"""`EntryPoint` and `EntryPoints` behave as those of CPython 3.12, on every version."""

import pathlib
import subprocess

import pytest
from support.interpreters import INTERPRETERS, READER

# Executed with `module` set to epcache and to importlib.metadata of 3.12: the output is equal.
TRANSCRIPT = r"""
import copy, pickle, sys

def show(action):
    try:
        result = action()
    except Exception as error:
        # 3.12's own text for a missing match; only the type is part of the interface.
        result = type(error).__name__
    print(repr(result))

EP = module.EntryPoint
a = EP(name='a', value='os.path:join [x, y_1,z]', group='g')
b = EP('b', 'os', 'g')
bad = EP('bad', 'in-valid', 'g')
values = [
    'm', 'm.n', 'm:f', 'm : f', 'm:f.g', 'm:f [a]', 'm [a,b]', 'm:f[a]', 'm:f []', 'm:', ':f', '', 'm:f # c',
    'm:f=g', 'é.ü:ñ', 'm:f [a-b]', 'm:f [a] x', 'm\tx', 'm:f \u0301', 'a\u0301:b',
]
for value in values:
    ep = EP('n', value, 'g')
    for attribute in ('module', 'attr', 'extras'):
        show(lambda: getattr(ep, attribute))
for ep in (a, b, bad):
    show(lambda: ep)
    show(lambda: (ep.name, ep.value, ep.group, ep.dist))
    show(lambda: pickle.loads(pickle.dumps(ep)) == ep)
    show(lambda: copy.copy(ep) == ep and copy.deepcopy(ep) == ep)
    show(lambda: hash(ep) == hash((ep.name, ep.value, ep.group)))
    show(lambda: ep.load().__name__)
show(lambda: setattr(a, 'name', 'x'))
show(lambda: setattr(a, 'new', 'x'))
show(lambda: a.name)
show(lambda: sorted([b, bad, a]))
show(lambda: a < b)
show(lambda: a > b)
show(lambda: a <= b)
show(lambda: a == EP('a', a.value, 'g'))
show(lambda: a == EP('a', a.value, 'h'))
show(lambda: a != b)
show(lambda: len({a, b, EP('b', 'os', 'g')}))
show(lambda: EP('a', 'b'))
show(lambda: EP(None, None, None))
for params in ({}, {'name': 'a'}, {'name': 'b'}, {'group': 'g', 'name': 'a'}, {'module': 'os.path'}, {'attr': 'join'},
               {'extras': ['x', 'y_1', 'z']}, {'extras': ('x',)}, {'dist': None}, {'nothing': 1}, {'name': 'b', 'nothing': 1}):
    show(lambda: a.matches(**params))
show(lambda: bad.matches(module='m'))
EPS = module.EntryPoints
eps = EPS([a, b, bad, EP('a', 'other', 'h')])
show(lambda: eps)
show(lambda: (len(eps), list(eps)[0] is a, isinstance(eps, tuple), type(eps).__name__))
show(lambda: eps['a'])
show(lambda: eps['none'])
show(lambda: eps[0])
show(lambda: eps[0:1])
show(lambda: sorted(eps.names))
show(lambda: sorted(eps.groups))
show(lambda: type(eps.select(group='g')).__name__)
show(lambda: eps.select(group='g'))
show(lambda: eps.select())
show(lambda: eps.select(name='a', group='h'))
show(lambda: eps.select(nothing=1))
show(lambda: EPS().select(nothing=1))
show(lambda: eps.select(module='os'))
show(lambda: a in eps)
show(lambda: eps == tuple(eps))
show(lambda: hash(eps) == hash(tuple(eps)))
show(lambda: setattr(eps, 'x', 1))
show(lambda: module.entry_points('g'))
show(lambda: type(module.entry_points()).__name__)
show(lambda: module.entry_points(group='no such group'))
show(lambda: module.entry_points(group='no such group')['x'])
"""


def transcript(python, module):
    code = f"import sys; sys.path.append({str(READER)!r}); import {module} as module\n{TRANSCRIPT}"
    done = subprocess.run([python, "-I", "-S", "-X", "utf8", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_types_behave_as_those_of_3_12(python):
    right = transcript(INTERPRETERS["3.12"], "importlib.metadata")
    assert len(right) > 100
    # 3.12 raises TypeError from the deprecated tuple interface; an integer is not a name in ours either.
    assert transcript(python, "epcache") == right


def test_equal_to_the_entry_points_of_importlib_metadata():
    import importlib.metadata

    import epcache

    ours = epcache.EntryPoint("a", "b:c", "g")
    theirs = importlib.metadata.EntryPoint("a", "b:c", "g")
    assert ours == theirs and theirs == ours and hash(ours) == hash(theirs)
    assert ours != epcache.EntryPoint("a", "b:d", "g")
    assert ours != 1 and ours != ("a", "b:c", "g")
    with pytest.raises(AttributeError, match="immutable"):
        del ours.name


def test_an_entry_point_from_an_index_keeps_its_distribution_when_pickled(python, tmp_path):
    from support import index_writer
    from support.environments import add

    site = tmp_path / "site"
    add(site, "foo-1.dist-info", "[g]\na = os:getcwd\n")
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    code = f"""if True:
        import sys
        sys.path[:0] = [{str(site)!r}, {str(READER)!r}]
        import copy, os, pickle
        import epcache
        (found,) = epcache.entry_points()
        assert 'importlib.metadata' not in sys.modules
        assert found.load() is os.getcwd
        for other in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
            assert other == found
            assert (other.dist.metadata['Name'], other.dist.version) == ('foo', '1'), other.dist
        import importlib.metadata
        assert isinstance(found.dist, importlib.metadata.PathDistribution)
        assert found.dist is found.dist
        assert found.dist.metadata['Name'] == 'foo'
        assert [(ep.name, ep.value) for ep in found.dist.entry_points] == [('a', 'os:getcwd')]
        assert found.dist.read_text('entry_points.txt').startswith('[g]')
        assert found.dist.read_text('nothing') is None
        assert found.dist.files is None
        assert str(found.dist.locate_file('x')) == {str(site / "x")!r}
        """
    done = subprocess.run([python, "-S", "-E", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_reader_has_no_dependencies_outside_the_standard_library():
    names = {path.stem for path in pathlib.Path(READER, "epcache").glob("*.py")}
    assert names >= {"__init__", "_api", "_backend", "_discovery", "_light", "_scan", "_view"}
