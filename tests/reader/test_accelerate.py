"""`epcache.accelerate()`: what programs then get from importlib.metadata and importlib_metadata."""

import subprocess

import pytest
from support import index_writer
from support.environments import add
from support.interpreters import READER

# Counts what is read of distributions, and defines the query that the code here uses.
ASK = """
import sys
read = []
sys.addaudithook(lambda event, arguments: event == 'open' and '-info/' in str(arguments[0]) and read.append(arguments[0]))

def ask(module, group='g'):
    if hasattr(module, 'EntryPoints'):
        return module.entry_points(group=group)
    return module.entry_points().get(group, ())
"""


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    add(site, "foo-1.dist-info", "[g]\na = os.path:join\nb = os:sep\n[h]\nc = m:f\n")
    add(site, "bar_baz-2.dist-info", "[g]\nd = os:getcwd [x, y]\n")
    add(site, "old-3.egg-info")
    (site / "foo-1.dist-info" / "top_level.txt").write_text("foo\n_foo\n")
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    return site


@pytest.fixture
def run(python, site):
    """Runs code with `site` in front of a `sys.path` that otherwise holds the standard library."""

    def run(code, *flags, **environment):
        paths = f"import sys; sys.path[:0] = [{str(site)!r}, {str(READER)!r}]\n"
        command = [python, "-S", "-E", "-W", "error", *flags, "-c", paths + ASK + code]
        done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(site), **environment})
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


USE = """
found = list(ask(M))
assert [(ep.name, ep.value, ep.group) for ep in found] in (
    [('a', 'os.path:join', 'g'), ('b', 'os:sep', 'g'), ('d', 'os:getcwd [x, y]', 'g')],
    [('d', 'os:getcwd [x, y]', 'g'), ('a', 'os.path:join', 'g'), ('b', 'os:sep', 'g')],
), found
assert {type(ep) for ep in found} == {M.EntryPoint}
assert M.version('bar-baz') == '2'
assert {dist.version for dist in M.distributions()} >= {'1', '2', '3'}
if sys.version_info >= (3, 10):
    provided = M.packages_distributions()
    assert (provided['foo'], provided['_foo']) == (['foo'], ['foo'])
"""


def test_it_answers_from_the_index_in_either_order_of_import(run):
    run("import epcache; epcache.accelerate(); import importlib.metadata as M\n" + USE + "assert read == []")
    run("import importlib.metadata as M, epcache; epcache.accelerate()\n" + USE + "assert read == []")
    # Shows that the counter sees reads.
    run("import importlib.metadata as M\n" + USE + "assert read != []")


def test_names_imported_from_the_module_are_the_fast_ones(run):
    run(
        """
import epcache; epcache.accelerate()
from importlib.metadata import entry_points, version, distributions
entry_points(); version('foo'); [dist.entry_points for dist in distributions()]
assert read == []
"""
    )


def test_nothing_is_imported_until_the_first_query(run):
    run(
        """
before = set(sys.modules)
import epcache; epcache.accelerate(); epcache.accelerate()
imported = set(sys.modules) - before
assert imported == {'epcache', 'epcache._switches', 'epcache_startup'}, imported
import importlib.metadata as M
imported = {name for name in sys.modules if name.partition('.')[0].startswith('epcache')} - imported
assert imported == set(), imported
"""
    )


# What a program may do between the import of the module and its first question.
MEANWHILE = {
    "reloads it": "import importlib; importlib.reload(M)",
    "keeps the functions": "version, entry_points, distributions = M.version, M.entry_points, M.distributions",
    "imports it again": "del sys.modules['importlib.metadata']; import importlib.metadata; M = importlib.metadata",
    "adds an attribute": "M.other = M.Distribution.other = 1",
    "makes a finder": "class Finder(M.MetadataPathFinder): pass\nassert list(Finder.find_distributions())",
    "asks in threads": """
import threading
answers, start = [], threading.Barrier(6)
def ask_first(number):
    start.wait()
    answers.append((M.version('foo'), len(ask(M)), len(list(M.distributions())) >= 3))
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=ask_first, args=[number]) for number in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert answers == [('1', 3, True)] * 6, answers
sys.setswitchinterval(0.005)
""",
    "asks during the import": """
import epcache._table as kept
del sys.modules['epcache._table']
class Finder:
    answers = []
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.startswith('epcache.'):
            cls.answers.append((M.version('foo'), len(ask(M))))
sys.meta_path.insert(0, Finder)
assert M.version('foo') == '1' and len(ask(M)) == 3
assert set(Finder.answers) == {('1', 3)} and len(Finder.answers) > 3, Finder.answers
sys.meta_path.remove(Finder)
""",
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_it_answers_from_the_index_whatever_a_program_does_first(run, what):
    run(
        f"""
import epcache; epcache.accelerate()
import importlib.metadata as M
{MEANWHILE[what]}
del read[:]
{USE}
assert read == [], read
"""
    )


def test_what_is_replaced_before_the_first_question_is_used(run):
    run(
        FAKE
        + """
def check(part, name, replacement):
    original = part.__dict__[name]
    setattr(part, name, replacement)
    assert M.version('foo') == '1' and list(M.distributions())
    found = list(ask(M))
    setattr(part, name, original)
    return found

seen = []
kept = M.PathDistribution.read_text
def read_text(self, name):
    seen.append(name)
    return kept(self, name)

check(M.PathDistribution, 'read_text', read_text)
assert 'entry_points.txt' in seen
assert 'epcache._backend' not in sys.modules
if not issubclass(M.EntryPoint, tuple):
    class Replaced(M.EntryPoint):
        pass
    assert {type(one) for one in check(M, 'EntryPoint', Replaced)} <= {M.EntryPoint, Replaced}
    assert 'epcache._backend' not in sys.modules
del seen[:], read[:]
assert len(ask(M)) == 3 and read == seen == []
"""
    )


def test_it_can_be_undone_completely(run):
    run(
        """
import importlib.metadata as M
finder = M.MetadataPathFinder
before = dict(vars(M)), dict(vars(finder)), list(sys.meta_path)
import epcache
epcache.accelerate()
kept = M.entry_points, M.version
assert kept[0] is not before[0]['entry_points']
epcache.decelerate()
assert (dict(vars(M)), dict(vars(finder)), list(sys.meta_path)) == before
ask(M)
assert len(read) > 0
# What was taken from the module meanwhile does what it would have done.
del read[:]
assert kept[1]('foo') == '1' and len(read) > 0
epcache.accelerate()
del read[:]
ask(M)
assert read == []
"""
    )


def test_a_reloaded_module_is_accelerated_again(run):
    run(
        """
import epcache; epcache.accelerate()
import importlib, importlib.metadata as M
importlib.reload(M)
ask(M)
assert read == []
epcache.decelerate()
ask(M)
assert read != []
"""
    )


def test_the_module_keeps_its_attributes(run):
    run(
        """
import inspect, importlib.metadata as M
before = {name: (inspect.signature(getattr(M, name)), getattr(M, name).__doc__, getattr(M, name).__module__)
          for name in ('entry_points', 'version', 'distributions')}
spec = M.__spec__, M.__loader__, inspect.getsource(M.Distribution)
import epcache; epcache.accelerate()
for name, attributes in before.items():
    function = getattr(M, name)
    assert (inspect.signature(function), function.__doc__, function.__module__) == attributes
assert inspect.signature(M.MetadataPathFinder.find_distributions).parameters.keys() == {'context'}
del sys.modules['importlib.metadata']
import importlib.metadata as N
assert N is not M
assert type(N.__loader__) is type(M.__loader__) and N.__spec__.loader is N.__loader__
assert inspect.getsource(N.Distribution) == spec[2]
"""
    )


def test_distributions_are_instances_of_the_module_classes(run):
    run(
        """
import pathlib, pickle
import epcache; epcache.accelerate()
import importlib.metadata as M
dist = M.distribution('Foo')
assert isinstance(dist, M.PathDistribution) and isinstance(dist, M.Distribution)
assert type(dist).__name__ == 'PathDistribution' and type(dist).__module__ == 'importlib.metadata'
assert pathlib.Path(dist._path).name == 'foo-1.dist-info'
assert dist.metadata['Name'] == 'foo' and dist.requires is None and dist.files is None
assert dist.read_text('top_level.txt').split() == ['foo', '_foo'] and dist.read_text('none') is None
assert dist.locate_file('x') == pathlib.Path(sys.path[0], 'x')
assert {ep.name for ep in dist.entry_points} == {'a', 'b', 'c'}
again = pickle.loads(pickle.dumps(dist))
assert type(again) is M.PathDistribution and again.version == '1'
for ep in ask(M):
    assert pickle.loads(pickle.dumps(ep)) == ep
    assert ep.load() is not None
    if sys.version_info >= (3, 10):
        assert ep.dist.version in ('1', '2') and type(ep.dist).__name__ == 'PathDistribution'
        assert list(ep.dist.entry_points)[0].dist is ep.dist
assert type(ask(M)) is getattr(M, 'EntryPoints', tuple)
try:
    M.version('none')
except M.PackageNotFoundError as error:
    assert error.name == 'none' or error.args == ('none',)
"""
    )


SELECTIONS = """
if sys.version_info < (3, 12):
    raise SystemExit(0)  # these return groups
import copy, pickle
import epcache; epcache.accelerate()
import importlib.metadata as M

class Text(str):
    def __eq__(self, other):
        return other != 'g'

class Other:
    name = group = 'g'
    def matches(self, **params):
        return 'none' not in params

def outcome(entry_points, params):
    try:
        found = entry_points.select(**params)
    except Exception as error:
        return type(error), str(error)
    assert isinstance(found, M.EntryPoints), found
    return list(found)

everything = M.entry_points()
assert everything.__class__ is M.EntryPoints and type(everything).__name__ == 'EntryPoints'
for again in pickle.loads(pickle.dumps(everything)), copy.copy(everything):
    assert type(again) is M.EntryPoints and again == everything and repr(again) == repr(everything)
for one in everything, everything.select(), type(everything)([*everything, Other()]), type(everything)(()):
    plain = M.EntryPoints(tuple(one))
    assert one.names == plain.names and one.groups == plain.groups
    for params in (
        {}, {'group': 'g'}, {'group': 'h'}, {'group': 'none'}, {'name': 'a'}, {'group': 'g', 'name': 'a'},
        {'name': 'b', 'group': 'g', 'value': 'os:sep'}, {'group': 'h', 'name': 'a'}, {'group': Text('g')},
        {'group': None}, {'group': b'g'}, {'group': ['g']}, {'group': 'g', 'name': None}, {'module': 'os'},
        {'group': 'g', 'attr': 'sep'}, {'none': 1}, {'group': 'g', 'none': 1},
    ):
        for _ in range(2):
            assert outcome(one, params) == outcome(plain, params), params
assert len(everything.select(group='g')) == 3
for owner, name in ((M.EntryPoint, 'matches'), (M.EntryPoints, 'select')):
    original = getattr(owner, name)
    setattr(owner, name, lambda self, **params: [])
    assert list(everything.select(group='g')) == []
    setattr(owner, name, original)
"""


def test_all_entry_points_select_as_the_class_of_the_module_does(run):
    run(SELECTIONS)


def test_files_of_a_distribution_are_read_as_by_the_module(run, site):
    add(site, "several-1.dist-info")
    metadata = site / "several-1.dist-info/METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: one\nRequires-Dist: two\n")
    (site / "single-2.egg-info").write_text("Name: single\nVersion: 2\n")
    (site / "foo-1.dist-info/directory").mkdir()
    (site / "foo-1.dist-info/loop").symlink_to("loop")
    (site / "foo-1.dist-info/away").symlink_to("gone")
    (site / "foo-1.dist-info/link").symlink_to("METADATA")
    index_writer.write(str(site))
    run(
        """
import pathlib
import epcache; epcache.accelerate()
import importlib.metadata as M

def outcome(distribution, name):
    try:
        return distribution.read_text(name)
    except Exception as error:
        return type(error), str(error)

for name in 'foo', 'single', 'old', 'several':
    found = M.distribution(name)
    plain = M.PathDistribution(found._path)
    assert type(found) is not M.PathDistribution and str(found._path).startswith(sys.path[0])
    for file in ('METADATA', 'PKG-INFO', 'none', '', '.', '..', '...', './METADATA', 'directory', 'directory/none', 'loop',
                 'away', 'link', sys.path[0] + '/foo-1.dist-info/METADATA', 'x' * 300, 'a' + chr(0), pathlib.Path('METADATA'),
                 pathlib.Path('none'), None):
        assert outcome(found, file) == outcome(plain, file), (name, file)
    for header in 'Requires-Dist', 'Provides-Extra', 'Requires-Python', 'requires-dist':
        expected = plain.metadata.get_all(header)
        message = found.metadata
        for _ in range(2):
            answer = message.get_all(header)
            assert answer == expected, (name, header, answer)
            if answer:
                answer.clear()
M.PathDistribution.read_text = lambda self, name: 'replaced ' + name
assert found.read_text('none') == 'replaced none'
"""
    )


FAKE = """
import epcache; epcache.accelerate()
import importlib.metadata as M

class Fake(M.Distribution):
    def read_text(self, name):
        return {'METADATA': 'Name: fake\\nVersion: 9\\n', 'entry_points.txt': '[g]\\nfake = f:f\\n'}.get(name)
    def locate_file(self, path):
        return path
"""


def test_functions_replaced_by_others_are_used(run):
    run(
        FAKE
        + """

real = M.distributions
M.distributions = lambda **kwargs: [Fake()]
assert [ep.name for ep in ask(M)] == ['fake']
M.distributions = real
assert len(ask(M)) == 3
discover = M.Distribution.discover
M.Distribution.discover = classmethod(lambda cls, **kwargs: iter([Fake()]))
assert [ep.name for ep in ask(M)] == ['fake']
assert sys.version_info < (3, 11) or M.version('any') == '9'
"""
    )


def test_entry_points_are_made_by_a_patched_class(run):
    run(
        FAKE
        + """
if not issubclass(M.EntryPoint, tuple):
    for part, group in (('__init__', 'g'), ('_for', 'h')):
        (found,) = M.distribution('bar-baz').entry_points
        assert list(vars(found)) == ['name', 'value', 'group', 'dist'], vars(found)
        assert vars(found)['dist'].version == '2'
        original = getattr(M.EntryPoint, part)
        seen = []

        def replaced(self, *arguments, **named):
            seen.append(self)
            return original(self, *arguments, **named)

        setattr(M.EntryPoint, part, replaced)
        assert list(ask(M, group)) == seen
        setattr(M.EntryPoint, part, original)
"""
    )


def test_other_finders_are_queried(run):
    run(
        FAKE
        + """

class Finder(M.DistributionFinder):
    def find_distributions(self, context=M.DistributionFinder.Context()):
        return [Fake()] if context.name in (None, 'fake') else []
    def find_module(self, name, path=None):
        return None
    def find_spec(self, *args):
        return None

sys.meta_path.append(Finder())
assert sorted(ep.name for ep in ask(M)) == ['a', 'b', 'd', 'fake']
assert M.version('fake') == '9' and M.version('foo') == '1'
sys.meta_path.insert(0, sys.meta_path.pop())
assert ask(M)[0].name == 'fake' if not hasattr(M, 'EntryPoints') else list(ask(M))[0].name == 'fake'
assert len(epcache.entry_points(group='g')) == 4
"""
    )


def test_a_stale_index_is_reported_only_on_request(run, site):
    add(site, "new-1.dist-info", "[g]\nn = os:name\n")
    code = "import epcache; epcache.accelerate(); import importlib.metadata as M\nassert len(ask(M)) == 4\n"
    code += "assert {path.split('/')[-2] for path in map(str, read)} == {'new-1.dist-info'}, read"
    run(code)
    with pytest.raises(AssertionError, match="StaleIndexWarning"):
        run(code.replace("import epcache", "import os; os.environ['EPCACHE'] = 'warn'; import epcache"))


# Directories, and names to ask for.
DIRECTORIES = [
    *("under_score-1.dist-info", "dotted.name-2.dist-info", "Upper.Case-3.dist-info", "a__b-4.dist-info"),
    *("bare.dist-info", "bare2.egg-info", "egg-5.egg-info", "per%cent-6.dist-info", "~ilde-7.dist-info"),
    *("hy-phen-8.dist-info", "late-9-py3.egg-info", "e-10.dist-info", "named-11.dist-info"),
]
NAMES = [
    *(
        "under_score",
        "under-score",
        "under.score",
        "UNDER__score",
        "dotted.name",
        "dotted-name",
        "dotted_name",
    ),
    *("upper.case", "upper_case", "a__b", "a_b", "a-b", "a.b", "bare", "bare2", "bare.dist", "egg", "egg-5"),
    *("per%cent", "per%25cent", "~ilde", "ilde", "hy", "hy-phen", "hy_phen", "late", "e", "m", "1", "11"),
    *(
        "named",
        "other-name",
        "under_score-1",
        "under_score-1.dist-info",
        "a\\tb",
        "a\\n",
        "é",
        "ſ",
        "\\udc80",
        ".",
    ),
    *("-", "none", " under_score", "underscore", "_", "twin", "odd"),
]
# What makes an index more than a plain one.
MORE = {
    "plain": [],
    "twice": ["twin-1.dist-info", "Twin-2.dist-info"],
    "another suffix": ["odd-1.DIST-INFO", "odd_-2.dist-info"],
    "no name": [".dist-info", "-3.dist-info"],
    "not ASCII": ["é-1.dist-info"],
}


@pytest.mark.parametrize("more", MORE)
def test_versions_are_found_by_the_rule_of_the_release(run, tmp_path, more):
    other = tmp_path / "other"
    for directory in DIRECTORIES + MORE[more]:
        add(other, directory)
    (other / "named-11.dist-info" / "METADATA").write_text("Name: Other.Name\nVersion: 11\n")
    (other / "hy-phen-8.dist-info" / "METADATA").write_text("Name: hy\n")
    (other / ".epcache").mkdir()
    index_writer.write(str(other))
    run(
        f"""
sys.path[0] = {str(other)!r}
import importlib.metadata as M
def versions(version):
    found = []
    for name in {NAMES!r}:
        name = name.encode().decode('unicode_escape') if chr(92) in name else name
        try:
            found.append((name, version(name)))
        except M.PackageNotFoundError as error:
            found.append((name, type(error), error.args))
    return found
plain = versions(M.version)
import epcache; epcache.accelerate()
accelerated = versions(M.version)
assert accelerated == plain, [pair for pair in zip(accelerated, plain) if pair[0] != pair[1]]
assert ('epcache._backend' in sys.modules) or {more!r} == 'plain', 'nothing was special'
own = [found[:2] for found in versions(epcache.version)]
assert sys.version_info < (3, 10) or own == [found[:2] for found in plain], list(zip(own, plain))
""",
        "-W",
        "ignore",
    )


ASKING = {
    "distribution": "M.distribution('foo')",
    "metadata": "M.metadata('foo')",
    "requires": "M.requires('foo')",
    "files": "M.files('foo')",
    "version": "M.version('foo')",
    "entry_points": "M.entry_points()",
    "distributions": "list(M.distributions())",
    "packages_distributions": "getattr(M, 'packages_distributions', M.entry_points)()",
    "discover": "list(M.Distribution.discover(name='foo'))",
}


@pytest.mark.parametrize("function", ASKING)
def test_a_warning_names_the_line_that_asked(run, site, function):
    add(site, "new-1.dist-info")
    run(
        f"""
import epcache; epcache.accelerate()
import importlib.metadata as M, os, warnings
os.environ['EPCACHE'] = 'warn'
def ask():
    {ASKING[function]}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    ask()
(caught,) = caught
assert (caught.category, caught.filename) == (epcache.StaleIndexWarning, '<string>'), caught
assert caught.lineno == ask.__code__.co_firstlineno + 1, caught
"""
    )


def test_it_can_be_switched_off_by_an_environment_variable(run):
    code = "import os; os.environ['EPCACHE'] = 'off'\nimport epcache; epcache.accelerate()\n"
    run(code + "import importlib.metadata as M\n" + USE + "assert read != []")


def test_a_module_with_another_implementation_is_left_alone(run):
    run(
        """
import importlib.metadata as M
M.PathDistribution, kept = None, M.PathDistribution
before = dict(vars(M)), dict(vars(M.MetadataPathFinder))
import epcache; epcache.accelerate()
assert (dict(vars(M)), dict(vars(M.MetadataPathFinder))) == before
M.PathDistribution = kept
epcache.accelerate()
ask(M)
assert read == []
"""
    )
