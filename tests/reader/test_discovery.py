"""Which distributions count, and in which order: as in importlib.metadata, case by case."""

import os
import pathlib
import zipfile

import pytest
from support import index_writer
from support.environments import add
from support.interpreters import INTERPRETERS, ask, asked_the_disk, expected

GROUPS = [{}, {"group": "g"}, {"group": "h"}, {"name": "a"}, {"group": "none"}]


def index(site):
    """Index a site directory, whose stamp is settled by making the sidecar first."""
    (site / ".epcache").mkdir(exist_ok=True)
    return index_writer.write(str(site))


def assert_as_importlib(python, path, queries=GROUPS, setup=""):
    found = ask(python, path, queries, setup=setup)
    right = expected(python, path, queries, setup=setup)
    for query, answer, wanted in zip(queries, found["answers"], right):
        assert answer == wanted, query
    assert [text for category, text in found["warnings"] if category == "StaleIndexWarning"] == []
    return found


# Name of a case: the content of its site directory, [(distribution, entry_points.txt, metadata)].
PLAIN = ("plain-1.dist-info", "[h]\na = p:h\n[g]\nz = p:z\na = p:a\n[h]\nb = p:b\n", None)
SITES = {
    "one": [PLAIN],
    "groups_interleaved": [PLAIN, ("other-1.egg-info", "[g]\na = o:a\n[a]\na = o:x\n[g]\nb = o:b\n", None)],
    "two_versions": [
        ("foo-1.dist-info", "[g]\na = one:f\n", None),
        ("foo-2.dist-info", "[g]\na = two:f\nb = two:f\n", None),
        PLAIN,
    ],
    "two_spellings": [
        ("foo.bar-1.dist-info", "[g]\na = one:f\n", None),
        ("Foo__bar-2.egg-info", "[g]\na = two:f\n", None),
        ("foo_bar.egg-info", "[h]\na = three:f\n", None),
    ],
    "empty_hides_valid": [("foo-1.dist-info", None, None), ("foo-2.dist-info", "[g]\na = two:f\n", None)],
    "pip_leftover": [
        ("~oo-1.dist-info", "[g]\na = m:f\n", "Name: foo\nVersion: 1\n"),
        ("oo-1.dist-info", "[g]\nb = m:f\n", None),
    ],
    "name_from_metadata": [
        (".dist-info", "[g]\na = m:f\n", "Name: Foo.Bar\nVersion: 1\n"),
        ("foo_bar-2.dist-info", "[g]\nb = m:f\n", None),
    ],
    "name_of_dots": [
        ("..dist-info", "[g]\na = m:f\n", "Name: Foo.Bar\nVersion: 1\n"),
        ("foo_bar-2.dist-info", "[g]\nb = m:f\n", None),
    ],
    "upper_case_extension": [
        ("Foo-1.DIST-INFO", "[g]\na = m:f\n", "Name: bar\nVersion: 1\n"),
        ("bar-1.dist-info", "[g]\nb = m:f\n", None),
        ("foo-1.dist-info", "[g]\nc = m:f\n", None),
    ],
    "no_name_at_all": [("-1.dist-info", "[g]\na = m:f\n", "Version: 1\n"), PLAIN],
    "non_ascii_names": [
        ("fö-1.dist-info", "[g]\na = m:f\n", None),
        ("FÖ-2.dist-info", "[g]\nb = m:f\n", None),
        ("\u212aelvin-1.dist-info", "[g]\nc = m:f\n", None),
        ("kelvin-1.dist-info", "[g]\nd = m:f\n", None),
    ],
    "bytes_that_are_not_utf8": [
        (os.fsdecode(b"f\xff%41\n-1.dist-info"), "[g]\na = m:f\n", "Name: foo\n"),
        PLAIN,
    ],
    "control_characters_in_a_name": [
        ("a\nb-1.dist-info", "[g]\na = m:f\n", "Name: ab\n"),
        ("a\nB-2.dist-info", "[g]\nb = m:f\n", "Name: ab\n"),
        ("a\tb-1.egg-info", "[g]\nc = m:f\n", "Name: ab\n"),
        PLAIN,
    ],
    "line_without_equals": [PLAIN, ("bad-1.dist-info", "[g]\na = m:f\nnoeq\n", None)],
    "bad_line_hidden_by_another": [
        ("bad-1.dist-info", "[g]\na = m:f\n", None),
        ("bad-2.dist-info", "[g]\na = m:f\n", None),
    ],
    "not_utf8": [PLAIN, ("bad-1.dist-info", b"[g]\na = m:\xff\n", None)],
    "tab_in_a_name": [PLAIN, ("tab-1.dist-info", "[g]\na\tb = m:f\nc = m:h\n[h\th]\na = m:f\n", None)],
    "odd_lines": [
        PLAIN,
        (
            "odd-1.dist-info",
            "x = y:z\n[g]\r\n# c\r\na = m:f [x, y]\r\n = m:f\na =\n\x0cb = m\x85c = n\u2028d = o\n[[h]]\na\xa0=\xa0m:f\x1f\n"
            "[]\nq = m:f\n[ g ]\nr = m:f\n[gé]\né = m:é\n[g]\na = again:f\n",
            None,
        ),
    ],
    "byte_order_mark": [("bom-1.dist-info", "\ufeff[g]\na = m:f\n[h]\na = m:f\n", None)],
    "nothing": [],
}


def make(site, distributions):
    site.mkdir(exist_ok=True)
    for name, entry_points, metadata in distributions:
        add(site, name, entry_points, metadata)
    return site


@pytest.mark.parametrize("name", SITES)
def test_one_indexed_site_directory(python, tmp_path, name):
    site = make(tmp_path / "site", SITES[name])
    index(site)
    found = assert_as_importlib(python, [site])
    has_opaque = b"\nopaque\t" in (site / ".epcache" / "index").read_bytes()
    has_keyless = (
        "control" in name
        or name in ("name_from_metadata", "upper_case_extension", "no_name_at_all")
        or "non" in name
        or "bytes" in name
    )
    assert asked_the_disk(found) <= (has_opaque or has_keyless)


@pytest.mark.parametrize("name", SITES)
def test_the_tool_writes_the_same_bytes_as_the_second_implementation(tmp_path, name, epcache):
    # By its name, it is one without a distribution, too.
    site = make(tmp_path / "site-packages", SITES[name])
    epcache("refresh", site)
    written = (site / ".epcache" / "index").read_bytes()
    # Which distributions are unsettled depends on the clock.
    lines = [line for line in written.split(b"\n") if line.startswith(b"unsettled\t")]
    unsettled = [int(row) for line in lines for row in line.split(b"\t")[1].split(b" ")]
    index_writer.write(str(site), unsettled=unsettled)
    assert (site / ".epcache" / "index").read_bytes() == written


@pytest.mark.parametrize("name", SITES)
def test_site_directories_without_an_index(python, tmp_path, name):
    found = assert_as_importlib(python, [make(tmp_path / "site", SITES[name])])
    assert asked_the_disk(found) == bool(SITES[name])


@pytest.mark.parametrize("indexed", ["both", "first", "second", "neither"])
def test_the_first_distribution_of_a_name_on_the_path_counts(python, tmp_path, indexed):
    first = make(
        tmp_path / "first",
        [
            ("foo-1.dist-info", "[g]\na = one:f\n", None),
            ("silent-1.dist-info", None, None),
            ("first-1.dist-info", "[h]\na = f:h\n", None),
            ("plain-0.egg-info", "[g]\na = p:zero\n", None),
        ],
    )
    second = make(
        tmp_path / "second",
        [
            ("Foo-2.dist-info", "[g]\na = two:f\nb = two:f\n[h]\nz = two:f\n", None),
            ("silent-2.dist-info", "[g]\ns = hidden:f\n", None),
            ("bad-1.dist-info", "[g]\nfine = m:f\n", None),
            PLAIN,
            ("second-1.dist-info", "[g]\nlast = s:f\n", None),
        ],
    )
    for site, name in ((first, "first"), (second, "second")):
        if indexed in (name, "both"):
            index(site)
    for path in ([first, second], [second, first], [first, second, first]):
        found = assert_as_importlib(python, path)
        assert asked_the_disk(found) == (indexed != "both")


def test_an_earlier_malformed_distribution_hides_nothing_and_raises(python, tmp_path):
    first = make(tmp_path / "first", [("bad-1.dist-info", "[g]\nnoeq\n", None)])
    second = make(tmp_path / "second", [PLAIN])
    index(first), index(second)
    found = assert_as_importlib(python, [first, second])
    assert found["answers"][1] == "TypeError"


def test_a_malformed_distribution_behind_one_of_the_same_name_is_not_read(python, tmp_path):
    first = make(tmp_path / "first", [("bad-1.dist-info", None, None)])
    second = make(tmp_path / "second", [("bad-2.dist-info", "[g]\nnoeq\n", None), PLAIN])
    index(first), index(second)
    found = assert_as_importlib(python, [first, second])
    assert len(found["answers"][1]) == 2


def test_more_site_directories_than_descriptors(python, tmp_path):
    sites = [make(tmp_path / f"s{n}", [(f"p{n}-1.dist-info", f"[g]\na{n} = m:f\n", None)]) for n in range(60)]
    for site in sites:
        index(site)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    found = ask(INTERPRETERS["3.12"], sites, [{"group": "g"}, {"group": "none"}, {}], setup=limit)
    assert [len(answer) for answer in found["answers"]] == [60, 0, 60]
    assert found["warnings"] == []
    assert not asked_the_disk(found)


@pytest.mark.parametrize("suffix", [".egg", ".EGG", "-1-py3.egg"])
def test_an_egg_directory_is_read_without_an_index(python, tmp_path, suffix):
    egg = tmp_path / f"Some_Egg{suffix}"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text("Name: some-egg\nVersion: 1\n")
    (egg / "EGG-INFO" / "entry_points.txt").write_text("[g]\na = egg:f\n")
    index(egg)  # an empty index, which is wrong for an egg
    found = assert_as_importlib(python, [egg])
    assert len(found["answers"][0]) == 1


def test_zip_files_and_eggs_in_files(python, tmp_path):
    for name, inner in (("lib.zip", "foo-1.dist-info/"), ("bar-1-py3.egg", "EGG-INFO/")):
        with zipfile.ZipFile(tmp_path / name, "w") as file:
            file.writestr(inner + "METADATA", "Name: zipped\nVersion: 1\n")
            file.writestr(inner + "PKG-INFO", "Name: zipped\nVersion: 1\n")
            file.writestr(inner + "entry_points.txt", f"[g]\na = {name[:3]}:f\n")
    (tmp_path / "not-a.zip").write_text("no")
    site = make(tmp_path / "site", [("zipped-2.dist-info", "[g]\nb = m:f\n", None), PLAIN])
    index(site)
    paths = [tmp_path / "lib.zip", tmp_path / "bar-1-py3.egg", tmp_path / "not-a.zip", site]
    for path in (paths, paths[::-1], paths[:1], [tmp_path / "lib.zip" / "sub"]):
        assert_as_importlib(python, path)


def test_path_entries_that_hold_nothing(python, tmp_path):
    site = make(tmp_path / "site", [PLAIN])
    index(site)
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo.egg-info")
    locked = make(tmp_path / "locked", [PLAIN])
    locked.chmod(0)
    paths = [
        tmp_path / "no",
        tmp_path / "file",
        tmp_path / "file" / "x",
        "/dev/null",
        locked,
        site,
        "x" * 5000,
    ]
    found = assert_as_importlib(python, paths)
    assert found["answers"][0] != []


def test_a_fifo_on_the_path_is_ignored(python, tmp_path):
    # CPython would wait for a writer.
    os.mkfifo(tmp_path / "fifo")
    assert ask(python, [tmp_path / "fifo"], [{}])["answers"] == [[]]


@pytest.mark.parametrize("indexed", [True, False])
def test_special_files_count_as_absent(python, tmp_path, indexed):
    site = make(
        tmp_path / "site",
        [
            PLAIN,
            ("fifo-1.dist-info", None, None),
            ("dir-1.dist-info", None, None),
            ("zero-1.dist-info", None, None),
        ],
    )
    os.mkfifo(site / "fifo-1.dist-info" / "entry_points.txt")
    (site / "dir-1.dist-info" / "entry_points.txt").mkdir()
    (site / "zero-1.dist-info" / "entry_points.txt").symlink_to("/dev/zero")
    (site / "gone-1.dist-info").symlink_to("/nonexistent")
    (site / "file-1.egg-info").write_text("Name: file\nVersion: 1\n")
    if indexed:
        index(site)
    found = ask(python, [site], [{"group": "g"}, {}])
    assert found["warnings"] == []
    assert [[name for name, *_ in answer] for answer in found["answers"]] == [
        ["z", "a"],
        ["a", "z", "a", "b"],
    ]


def test_a_linked_distribution_is_followed_as_importlib_does(python, tmp_path):
    add(tmp_path / "elsewhere", "linked-1.dist-info", "[g]\nl = m:f\n")
    site = make(tmp_path / "site", [PLAIN])
    (site / "linked-1.dist-info").symlink_to(tmp_path / "elsewhere" / "linked-1.dist-info")
    (site / "text-1.dist-info").mkdir()
    (site / "text-1.dist-info" / "entry_points.txt").symlink_to(
        tmp_path / "elsewhere" / "linked-1.dist-info" / "entry_points.txt"
    )
    index(site)
    assert_as_importlib(python, [site])


def test_relative_entries_and_the_current_directory(python, tmp_path):
    site = make(tmp_path / "site", [PLAIN])
    index(site)
    for setup, path in (
        ("import os; os.chdir(%r)" % str(site), [""]),
        ("import os; os.chdir(%r)" % str(tmp_path), ["site"]),
    ):
        found = assert_as_importlib(python, path, setup=setup)
        assert asked_the_disk(found) == (path == [""])
        assert len(found["answers"][0]) == 4


def test_entries_that_are_not_strings(python, tmp_path):
    site = make(tmp_path / "site", [PLAIN])
    index(site)
    setup = f"import pathlib; sys.path.insert(0, pathlib.Path({str(site)!r}))"
    found = assert_as_importlib(python, [], setup=setup)
    assert len(found["answers"][0]) == 4


def test_a_link_to_the_site_directory_finds_its_index(python, tmp_path):
    site = make(tmp_path / "site", [PLAIN])
    index(site)
    (tmp_path / "link").symlink_to(site)
    for path in (tmp_path / "link", f"{site}/", tmp_path / "link" / ".." / "site"):
        found = assert_as_importlib(python, [path])
        assert not asked_the_disk(found), path


def test_an_index_below_the_users_cache_is_found_by_either_path(python, tmp_path):
    site = make(tmp_path / "site", [PLAIN])
    (tmp_path / "link").symlink_to(site)
    for variables, cache in (
        ({"XDG_CACHE_HOME": str(tmp_path / "xdg")}, tmp_path / "xdg"),
        ({"XDG_CACHE_HOME": "relative", "HOME": str(tmp_path / "home")}, tmp_path / "home" / ".cache"),
        ({"XDG_CACHE_HOME": "", "HOME": str(tmp_path / "home2")}, tmp_path / "home2" / ".cache"),
    ):
        index_writer.write(str(site), f"{cache}/epcache{site}/index")
        for path in (site, tmp_path / "link", tmp_path / "none" / ".." / "site"):
            found = ask(python, [path], GROUPS, environment=variables)
            if "none" in str(path):
                assert found["answers"][0] == []  # there is no directory of this name
                continue
            assert found["answers"] == expected(python, [path], GROUPS)
            assert not asked_the_disk(found), (variables, path)


FINDER = """
import importlib.metadata as metadata, pathlib

class Dist(metadata.Distribution):
    def read_text(self, filename):
        return {"METADATA": "Name: Made-Up\\nVersion: 1\\n", "entry_points.txt": "[g]\\nmade = up:f\\n"}.get(filename)
    def locate_file(self, path):
        return pathlib.Path("/nowhere", path)

class Finder:
    @staticmethod
    def find_spec(*args): return None
    @staticmethod
    def find_distributions(context): yield Dist()
"""


@pytest.mark.parametrize("place", ["0", "len(sys.meta_path)"])
def test_other_finders_take_part_in_order(python, tmp_path, place):
    site = make(tmp_path / "site", [("made_up-2.dist-info", "[g]\nlater = m:f\n", None), PLAIN])
    index(site)
    setup = f"{FINDER}\nsys.meta_path.insert({place}, Finder)"
    found = assert_as_importlib(python, [site], setup=setup)
    names = [name for name, *_ in found["answers"][1]]
    assert ("made" in names) != ("later" in names)


@pytest.mark.parametrize("distributions", [[], [PLAIN]])
def test_other_finders_are_queried_every_time(python, tmp_path, distributions):
    site = make(tmp_path / "site", distributions)
    index(site)
    calls = "Finder.find_distributions = lambda context: [Dist()] * (calls.append(context) or len(calls) > 1)"
    setup = f"{FINDER}\ncalls = []\n{calls}\nsys.meta_path.insert(0, Finder)"
    answers = ask(python, [site], [{"name": "made"}] * 3, setup=setup)["answers"]
    assert [len(answer) for answer in answers] == [0, 1, 1]


def test_without_the_standard_finder_the_path_is_not_searched(python, tmp_path):
    site = make(tmp_path / "site", [PLAIN])
    index(site)
    setup = "import importlib.metadata; sys.meta_path[:] = [f for f in sys.meta_path if not hasattr(f, 'find_distributions')]"
    assert ask(python, [site], [{}], setup=setup)["answers"] == [[]]


def test_the_finder_of_the_backport_counts_as_the_standard_one(python, tmp_path, real_site):
    site = make(tmp_path / "site", [PLAIN])
    index(site)
    code = (
        "import importlib.util, importlib.metadata; "
        f"sys.path.insert(0, {str(real_site)!r}); import importlib_metadata; sys.path.pop(0)"
    )
    if python == INTERPRETERS["3.9"]:
        pytest.skip("the backport's current releases need 3.10")
    found = ask(python, [site], GROUPS, setup=code)
    assert found["answers"] == expected(python, [site], GROUPS)
    assert not asked_the_disk(found)


def test_directories_without_distributions_are_remembered_until_they_change(tmp_path, monkeypatch):
    import sys

    import epcache

    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(sys, "path", [str(empty)])
    monkeypatch.setattr(epcache, "SETTLE_AFTER", 0)
    assert epcache.entry_points() == ()
    assert str(empty) in epcache.listings
    stamps = os.stat(empty)
    add(empty, "foo-1.dist-info", "[g]\na = m:f\n")
    os.utime(empty, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    assert len(epcache.entry_points()) == 1


def test_a_recently_changed_directory_without_distributions_is_not_remembered(tmp_path, monkeypatch):
    import sys

    import epcache

    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert epcache.entry_points() == ()
    assert str(tmp_path) not in epcache.listings


def test_the_distribution_is_found_again_after_the_index_was_replaced(tmp_path, monkeypatch):
    import sys

    import epcache

    site = make(tmp_path / "site", [PLAIN, ("bar-1.dist-info", "[g]\nb = m:f\n", None)])
    index(site)
    monkeypatch.setattr(sys, "path", [str(site)])
    before = {ep.name: ep for ep in epcache.entry_points(group="g")}
    add(site, "aaa-1.dist-info", "[g]\na = x:y\n")
    index(site)
    assert before["b"].dist.name == "bar"
    assert pathlib.Path(before["z"].dist._path) == site / "plain-1.dist-info"
    gone = {ep.name: ep for ep in epcache.entry_points(group="g")}["b"]
    os.rename(site / "bar-1.dist-info", tmp_path / "bar")
    index(site)
    assert gone.dist is None
