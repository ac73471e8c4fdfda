"""What an index of the user `epcache` can change in the answers, and what it can not.

An attacker who has taken over that user can write any index of a system-wide directory. Each forgery here is asked
about with this package's own functions and with an accelerated `importlib.metadata`, and has to give what
they give without an index.
"""

import json
import os
import pwd
import subprocess

import pytest
from support import index_writer
from support.environments import add
from support.interpreters import READER

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files of other users can't be made")

# Stands for `epcache`, which need not exist here: it can't log in, either.
USER = "nobody"
UID = 54321


def make(site):
    add(site, "foo-1.0.dist-info", "[g]\na = os.path:join\nb = os:sep\n[h]\nc = os:name\n")
    add(site, "audit-3.0.dist-info", "[g]\nhook = os:getcwd\n")
    add(site, "multi_word-2.0.dist-info", "[g]\nw = os:linesep [x]\n", "Name: multi-word\nVersion: 2.0\n")
    add(site, "other-2.0.dist-info", "[h]\no = os:pathsep\n", "Name: other\nVersion: 2.0.0\n")
    add(site, "twin-1.0.dist-info", "[h]\nt = os:curdir\n")
    add(site, "twin-2.0.dist-info", "[h]\nt = os:pardir\n")
    add(site, "unversioned.egg-info", None, "Name: unversioned\nVersion: 7\n")
    for name in ("foo-1.0.dist-info", "audit-3.0.dist-info"):
        (site / name / "top_level.txt").write_text(name.partition("-")[0] + "\n")


def write(cache, site, forge=None, proof="site", owner=None, **options):
    """Write an index of the user `epcache`, as `forge(rows, options)` changes it; returns its path."""
    rows, order = index_writer.rows_of(str(site))
    options["order"] = order
    if forge is not None:
        rows = forge({os.fsdecode(row.file_name).partition(".")[0]: row for row in rows}, options)
    order = [place for place in options.pop("order") if place < len(rows)]
    mtime, ctime, inode, size = index_writer.stamp(site)
    if proof != "site":
        ctime -= 1
    now = mtime // 10**9
    if proof == "seal":
        options["seal"] = index_writer.sealed(str(site), now)
    path = f"{cache}{site}/index"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    index_writer.replace(path, index_writer.render((mtime, ctime, inode, size), rows, order, **options))
    os.utime(path, (now, now))
    os.chown(path, pwd.getpwnam(USER).pw_uid if owner is None else owner, -1)
    return path


def changed(change):
    """A forgery that changes rows, by their names without the minor version, and keeps all of them."""

    def forge(rows, options):
        change(rows)
        return list(rows.values())

    return forge


def values(rows):
    rows["foo-1"].entries = [(group, name, "evil:run") for group, name, _ in rows["foo-1"].entries]


def extra(rows):
    rows["foo-1"].entries.append(("g", "extra", "evil:run"))


def extra_where_there_are_none(rows):
    rows["unversioned"].entries = [("g", "extra", "evil:run")]


def other_group(rows):
    rows["foo-1"].entries = [("g", name, value) for _, name, value in rows["foo-1"].entries]


def entries_of_another(rows):
    rows["foo-1"].entries = list(rows["audit-3"].entries)


def other_name(rows):
    rows["foo-1"].entries = [(group, name + "x", value) for group, name, value in rows["foo-1"].entries]


def twice(rows):
    rows["foo-1"].entries *= 2


def order_within(rows):
    rows["foo-1"].entries.reverse()


def version(rows):
    rows["foo-1"].version = "99.0"


def another_version(rows):
    rows["other-2"].version = "2.0.1"


def no_version(rows):
    rows["foo-1"].version = None


def unversioned(rows):
    rows["unversioned"].version = "8"


def names(rows):
    rows["foo-1"].name, rows["audit-3"].name = "audit", "foo"


def no_name(rows):
    rows["foo-1"].name = None


def keys(rows):
    rows["foo-1"].key, rows["audit-3"].key = "audit", "foo"


def unequal_keys(rows):
    rows["twin-2"].key = "twin_2"


def no_keys(rows):
    for row in rows.values():
        row.key = ""


def opaque(rows):
    for row in rows.values():
        row.entries = None
        row.identity_is_opaque = True


def configparser(rows):
    for row in rows.values():
        row.configparser_differs = True


def stamps(rows):
    for row in rows.values():
        row.stamps = [(1, 2, 3, 4)] * 3


def ghost(rows):
    rows["audit-3"].file_name = b"ghost-1.0.dist-info"


def outside(rows):
    rows["audit-3"].file_name = b"../site/audit-3.0.dist-info"


def no_distribution(rows):
    rows["audit-3"].file_name = b"audit.py"


def same_twice(rows):
    rows["audit-3"].file_name = b"foo-1.0.dist-info"


def hidden(rows, options):
    return [row for name, row in rows.items() if name != "audit-3"]


def hidden_twin(rows, options):
    return [row for name, row in rows.items() if name != "twin-1"]


def nothing(rows, options):
    return []


def added(rows, options):
    rows = list(rows.values())
    return [*rows, rows[-1]]


def order(rows, options):
    options["order"].reverse()
    return list(rows.values())


def order_of_equals(rows, options):
    options["order"] = [0] * len(rows)
    return list(rows.values())


def unsettled(rows, options):
    values(rows)
    options["unsettled"] = range(len(rows))
    return list(rows.values())


def not_settled(rows, options):
    version(rows)
    values(rows)
    options["settled"] = False
    return list(rows.values())


ROWS = [
    values, extra, extra_where_there_are_none, twice, order_within, version, another_version, no_version, unversioned, names, no_name, keys, unequal_keys, no_keys, opaque,
    configparser, stamps, ghost, outside, no_distribution, same_twice,
]  # fmt: skip
WHOLE = [hidden, hidden_twin, nothing, added, order, order_of_equals, unsettled, not_settled]
FORGERIES = {forge.__name__: forge for forge in WHOLE} | {change.__name__: changed(change) for change in ROWS}


# What stays in the hands of that user (docs/threats.md), and the questions that it can answer wrongly.
def no_entry_points(rows):
    rows["audit-3"].entries = []


def entry_points_elsewhere(rows):
    rows["audit-3"].entries = [("h", "hook", "os:getcwd")]


def no_importable_names(rows, options):
    options["top_level"] = {"foo-1.0.dist-info": index_writer.TopLevel("none")}
    return list(rows.values())


def importable_names(rows, options):
    stamps = rows["foo-1"].top_level.stamps
    options["top_level"] = {"foo-1.0.dist-info": index_writer.TopLevel("declared", ["numpy"], stamps=stamps)}
    return list(rows.values())


def version_of_the_directory(rows):
    # That of the metadata is another one.
    rows["other-2"].version = "2.0"


def spelling(rows):
    rows["multi_word-2"].name = "Multi_Word"


ENTRY_POINTS = {"g", "h", "a", "hook", "value", "all", "again"}
LEFT = {
    "no_entry_points": (changed(no_entry_points), {"g", "all", "hook", "distributions", "each"}),
    "other_group": (changed(other_group), {"h", "owners"}),
    "entries_of_another": (changed(entries_of_another), {"h", "owners", "a"}),
    "other_name": (changed(other_name), {"a"}),
    "entry_points_elsewhere": (changed(entry_points_elsewhere), {"g", "hook"}),
    "no_importable_names": (no_importable_names, {"packages"}),
    "importable_names": (importable_names, {"packages"}),
    "version_of_the_directory": (changed(version_of_the_directory), {"versions", "distributions"}),
    "spelling": (changed(spelling), {"distributions", "names"}),
}

ASK = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
mode, cache, reader, *sites = sys.argv[1:]
sys.path.append(reader)
if mode == "plain":
    import importlib.metadata as M
else:
    import epcache
    epcache.SYSTEM_CACHE, epcache.SYSTEM_USER = cache, "nobody"
    M = epcache
    if mode == "accelerated":
        epcache.accelerate()
        import importlib.metadata as M
own = mode in ("own", "off")
def attempt(ask, *arguments, **options):
    try:
        return ask(*arguments, **options)
    except Exception as error:
        return type(error).__name__
def fields(found):
    return [[ep.group, ep.name, ep.value] for ep in found]
def entry_points(**params):
    if own or sys.version_info >= (3, 10):
        return fields(M.entry_points(**params))
    return [fields(found) for group, found in sorted(M.entry_points().items())]
def owners(**params):
    return [ep.dist.metadata["Name"] for ep in M.entry_points(**params)]
NAMES = ("foo", "audit", "multi-word", "other", "twin", "unversioned", "ghost", "evil")
def of_distribution(dist):
    return [dist._path.name, dist.version, getattr(dist, "name", None), fields(dist.entry_points)]
answers = {}
for site in sites:
    sys.path[0] = site
    answers[site] = found = {
        "hook": attempt(entry_points, group="g", name="hook"),
        "a": attempt(entry_points, group="g", name="a"),
        "g": attempt(entry_points, group="g"),
        "h": attempt(entry_points, group="h"),
        "value": attempt(entry_points, group="g", value="os:sep"),
        "all": attempt(entry_points),
        "versions": [attempt(M.version, name) for name in NAMES],
        "distributions": attempt(lambda: [of_distribution(dist) for dist in M.distributions()]),
        "each": [attempt(lambda: fields(M.distribution(name).entry_points)) for name in NAMES],
        "names": [attempt(lambda: M.distribution(name).metadata["Name"]) for name in NAMES],
        "again": attempt(entry_points, group="g"),
    }
    found["names"] += [attempt(lambda: getattr(M.distribution(name), "name", None)) for name in NAMES]
    if sys.version_info >= (3, 10):
        found["packages"] = attempt(M.packages_distributions)
    if own or sys.version_info >= (3, 11):
        found["owners"] = attempt(owners, group="h")
json.dump(answers, sys.stdout)
"""

BASELINES = {"own": "off", "accelerated": "plain"}


def ask(python, mode, cache, sites):
    command = [python, "-S", "-E", "-B", "-c", ASK, mode, cache, READER, *sites]
    variables = {"HOME": "/nonexistent"}
    if mode == "off":
        variables["EPCACHE"] = "off"
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def forged(cache, tmp_path_factory):
    """By name of the forgery and kind of proof: the site directory."""
    top = tmp_path_factory.mktemp("sites")
    everything = FORGERIES | {name: forge for name, (forge, _) in LEFT.items()} | {"honest": None}
    sites = {}
    for name, forge in everything.items():
        for proof in ("site", "seal", "distributions"):
            sites[name, proof] = site = top / f"{name}-{proof}"
            make(site)
            write(cache, site, forge, proof)
    return sites


@pytest.mark.parametrize("mode", BASELINES)
def test_a_forged_index_changes_only_what_the_documents_name(python, cache, forged, mode):
    found = ask(python, mode, cache, forged.values())
    right = ask(python, BASELINES[mode], cache, forged.values())
    is_39 = "packages" not in found[str(forged["honest", "site"])]
    for (name, proof), site in forged.items():
        differ = {key for key, answer in found[str(site)].items() if answer != right[str(site)][key]}
        _, left = LEFT.get(name, (None, set()))
        if left & ENTRY_POINTS:
            # CPython 3.9 only has one question for entry points.
            left = left | (ENTRY_POINTS if is_39 else {"again"})
        assert differ <= left, (name, proof, differ)
        # The list is not longer than it has to be.
        if proof == "site" and left and not is_39:
            assert differ, name


def run(python, site, cache, code):
    paths = f"import sys; sys.path[0] = {str(site)!r}; sys.path.append({str(READER)!r})\nimport epcache\n"
    place = f"epcache.SYSTEM_CACHE, epcache.SYSTEM_USER = {str(cache)!r}, {USER!r}\n"
    reads = "read = []\nsys.addaudithook(lambda e, a: e == 'open' and '-info/' in str(a[0]) and read.append(a[0]))\n"
    command = [python, "-S", "-E", "-B", "-W", "error", "-c", paths + place + reads + code]
    done = subprocess.run(command, capture_output=True, text=True, env={"HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    make(site)
    return site


def test_an_honest_index_is_used_and_only_the_files_that_are_asked_for_are_read(python, site, tmp_path):
    for proof in ("site", "seal"):
        write(tmp_path / "cache", site, proof=proof)
        code = """
from os.path import basename, dirname
assert epcache.entry_points(group='none') == () and read == [], read
assert epcache.entry_points(group='g', name='hook')['hook'].load()
assert [basename(dirname(path)) for path in read] == ['audit-3.0.dist-info'], read
assert epcache.version('foo') == '1.0' and len(read) == 1, read
del read[:]
assert epcache.entry_points(group='g').names == {'a', 'b', 'hook', 'w'} and len(read) == 3, read
del read[:]
assert [dist.version for dist in epcache.distributions(name='audit')] == ['3.0'] and read == [], read
"""
        run(python, site, tmp_path / "cache", code)


def test_the_plain_case_covers_such_an_index(python, site, tmp_path):
    os.rename(site / "twin-2.0.dist-info", site / "other_twin-2.0.dist-info")
    write(tmp_path / "cache", site)
    code = """
for _ in range(2):
    assert epcache.entry_points(group='g').names == {'a', 'b', 'hook', 'w'} and len(read) == 3, read
assert not {'epcache._discovery', 'importlib.metadata'} & sys.modules.keys(), sorted(sys.modules)
assert epcache.entry_points(group='g')['hook'].dist.version == '3.0'
"""
    run(python, site, tmp_path / "cache", code)


@pytest.mark.parametrize(
    "name, text",
    [
        ("values", "has other entry points than 'foo-1.0.dist-info'"),
        ("extra", "has other entry points than 'foo-1.0.dist-info'"),
        ("hidden", "has other distributions than the directory"),
        ("ghost", "has other distributions than the directory"),
    ],
)
def test_what_is_noticed_is_reported(python, site, tmp_path, name, text):
    index = write(tmp_path / "cache", site, FORGERIES[name])
    code = f"""
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    assert epcache.entry_points(group='g')['a'].value == 'os.path:join'
    assert epcache.entry_points(group='g')['hook'].value == 'os:getcwd'
(message,) = [str(warning.message) for warning in caught]
assert {f"the index {index} {text}"!r} in message and 'hint: epcache refresh' in message, message
"""
    run(python, site, tmp_path / "cache", code)


@pytest.mark.parametrize("owner", [UID, 0])
@pytest.mark.parametrize("place", ["system", "beside"])
def test_only_for_directories_of_root_and_in_its_own_place_it_is_believed(
    python, site, tmp_path, owner, place
):
    os.chown(site, owner, -1)
    index = write(tmp_path / "cache", site, changed(no_entry_points))
    if place == "beside":
        (site / ".epcache").mkdir()
        os.rename(write(tmp_path / "cache", site, changed(no_entry_points)), site / ".epcache" / "index")
        index = f"{site}/.epcache/index"
    believed = (owner, place) == (0, "system")
    code = f"""
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    found = epcache.entry_points(group='g').names
assert ('hook' in found) is not {believed}, found
reasons = [str(warning.message) for warning in caught]
assert bool(reasons) is not {believed} and all({index!r} + ' belongs to user ' in text for text in reasons), reasons
"""
    run(python, site, tmp_path / "cache", code)


@pytest.mark.parametrize("owner", [0, UID])
def test_an_index_of_the_owner_of_the_directory_needs_no_confirmation(python, site, tmp_path, owner):
    # Who may write the index can change the distribution itself.
    os.chown(site, owner, -1)
    (site / ".epcache").mkdir()
    os.rename(write(tmp_path / "cache", site, FORGERIES["values"], owner=owner), site / ".epcache" / "index")
    run(
        python,
        site,
        tmp_path / "cache",
        "assert epcache.entry_points(name='a')['a'].value == 'evil:run' and not read",
    )


WITHOUT = """
sys.path.insert(0, {other!r})
found = [ep.dist.metadata['Name'] for ep in epcache.entry_points(group='g')]
assert ('hidden' in found) is {seen}, found
found = [dist._path.parent.name for dist in epcache.distributions()]
assert ('other' in found) is {seen}, found
"""


@pytest.mark.parametrize(
    "index_of, directory_of, seen",
    [(UID, 0, True), (UID, UID, True), (None, 0, True), (None, UID, True), (0, 0, False)],
)
@pytest.mark.parametrize("name", ["other", "python3"])
def test_an_index_of_others_hides_no_other_directory(
    python, site, tmp_path, name, index_of, directory_of, seen
):
    other = tmp_path / name / "other"
    add(other, "hidden-1.dist-info", "[g]\nx = os:sep\n")
    for number in range(200):
        # So that it is not listed for being small.
        (other / f"module_with_a_long_name_{number}.py").touch()
    os.chown(other, directory_of, -1)
    os.chown(site, index_of or 0, -1)
    write(tmp_path / "cache", site, owner=index_of, without=[str(other)])
    if index_of:
        (site / ".epcache").mkdir()
        os.rename(
            write(tmp_path / "cache", site, owner=index_of, without=[str(other)]), site / ".epcache" / "index"
        )
    run(python, site, tmp_path / "cache", WITHOUT.format(other=str(other), seen=seen))


@pytest.mark.parametrize("owner", [0, UID])
def test_of_the_standard_library_it_is_believed_if_that_is_roots(python, site, tmp_path, owner):
    library = tmp_path / "prefix" / "lib" / "python"
    library.mkdir(parents=True)
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
    ).stdout.strip()
    library = library.rename(library.with_name(f"python{version}"))
    for number in range(200):
        (library / f"module_with_a_long_name_{number}.py").touch()
    os.chown(library, owner, -1)
    write(tmp_path / "cache", site, without=[str(library)])
    code = f"""
sys.base_prefix, sys.platlibdir = {str(tmp_path / "prefix")!r}, 'lib'
# From the end, as an interpreter has them.
sys.path[0] = {str(library)!r}
sys.path.append({str(site)!r})
import importlib.metadata, epcache._light, epcache._parse, epcache._confirm  # which lists the path, too
listed = []
sys.addaudithook(lambda e, a: e == 'os.listdir' and listed.append(a[0]))
assert epcache.entry_points(group='g').names
assert ({str(library)!r} in listed) is {owner != 0}, listed
"""
    run(python, site, tmp_path / "cache", code)


REBUILT = """
import os
if library == 'accelerated':
    os.environ['EPCACHE'] = 'warn'
    epcache.accelerate()
    import importlib.metadata as M
else:
    M = epcache
def ask(group):
    return M.entry_points(group=group) if sys.version_info >= (3, 10) or M is epcache else M.entry_points()[group]
before = os.stat(sys.path[0])
file = sys.path[0] + '/foo-1.0.dist-info/entry_points.txt'
with open(file + '.new', 'w') as new:
    new.write('[g]\\na = os:linesep\\nb = os:sep\\n')
os.rename(file + '.new', file)
assert os.stat(sys.path[0]) == before  # so that the index gives the site proof
assert [(ep.name, ep.value) for ep in ask('g') if ep.name in 'ab'] == [('a', 'os:linesep'), ('b', 'os:sep')]
"""


@pytest.mark.parametrize("library", ["own", "accelerated"])
def test_a_package_rebuilt_meanwhile_is_not_reported(python, site, tmp_path, library):
    write(tmp_path / "cache", site)
    run(python, site, tmp_path / "cache", f"library = {library!r}\n{REBUILT}")


@pytest.mark.parametrize("name", ["../elsewhere-1.dist-info", "/tmp/elsewhere-1.dist-info", "foo.txt"])
def test_a_row_can_not_name_a_file_outside_the_distribution(python, site, tmp_path, name):
    add(tmp_path, "elsewhere-1.dist-info", "[g]\nz = os:name\n")
    (site / ".epcache").mkdir()

    def mislead(rows):
        rows["audit-3"].file_name = name.encode()

    os.rename(write(tmp_path / "cache", site, changed(mislead), owner=0), site / ".epcache" / "index")
    code = """
import warnings
warnings.simplefilter('ignore')
for dist in epcache.distributions():
    assert 'elsewhere' not in str(dist._path) or dist._path.parent.name != 'site'
assert epcache.version('audit') == '3.0'
assert {ep.value for ep in epcache.entry_points(name='a')} == {'os.path:join'}
"""
    run(python, site, tmp_path / "cache", code)
