"""The proof by content: in a copy of a site directory nothing is parsed, and every change of a file is seen."""

import json
import os
import shutil
import subprocess

import pytest
from support import index_reader
from support.environments import add
from support.interpreters import INTERPRETERS, READER, run

ANSWERS = """
import json, os, sys
sys.path.insert(0, {reader!r})
sys.path[:] = [entry for entry in sys.path if "site-packages" not in entry] + [{site!r}]
import importlib.metadata as M
parsed = []
if {accelerated}:
    import epcache, email.parser
    epcache.accelerate()
    def note(event, arguments):
        if event == "import" and arguments[0] in ("configparser", "csv"):
            parsed.append(arguments[0])
    sys.addaudithook(note)
    class Parser(email.parser.Parser):
        def parse(self, *arguments, **named):
            parsed.append("message")
            return super().parse(*arguments, **named)
    email.parser.Parser = Parser
found = []
for d in M.distributions():
    try:
        metadata = d.metadata
        found.append([metadata["Name"], d.version, [[e.group, e.name, e.value] for e in d.entry_points]])
    except Exception as error:
        found.append([type(error).__name__])
def in_group(entry_points):
    try:
        groups = entry_points()
        found = groups.select(group="g") if hasattr(groups, "select") else groups.get("g", ())
        return sorted([e.name, e.value] for e in found)
    except Exception as error:
        return type(error).__name__
by_group = in_group(M.entry_points)
own = in_group(epcache.entry_points) if {accelerated} else by_group
print(json.dumps({{"all": found, "group": by_group, "own": own, "parsed": parsed}}))
"""


@pytest.fixture(scope="session", params=["by times", "by contents"])
def sealed(tmp_path_factory, epcache, request):
    """A site directory with a sealed index."""
    site = tmp_path_factory.mktemp("sealed") / "site"
    add(site, "foo-1.dist-info", "[g]\na = foo:a\n[h]\nb = foo:b\n")
    add(site, "bar-1.dist-info", "[h]\nb = bar:qebdxuox\n")
    add(site, "plain-1.dist-info")
    add(site, "old-1.egg-info", "[g]\no = old:o\n")
    (site / "file-1.egg-info").write_text("Metadata-Version: 1.0\nName: file\nVersion: 1\n")
    variables = dict(os.environ, SOURCE_DATE_EPOCH="1" if request.param == "by contents" else "")
    epcache("refresh", "--seal", site, env=variables)
    return site


@pytest.fixture
def copied(sealed, tmp_path):
    """A copy of it whose files have all been given one time."""
    copy = tmp_path / "copy"
    shutil.copytree(sealed, copy)
    with_one_time(copy)
    return copy


def with_one_time(site):
    for directory, directories, files in os.walk(site, topdown=False):
        for name in [*directories, *files]:
            os.utime(os.path.join(directory, name), (1, 1))
    os.utime(site, (1, 1))


def answers(python, site, accelerated):
    text = ANSWERS.format(site=str(site), reader=str(READER), accelerated=accelerated)
    return json.loads(run(python, "-I", "-c", text, env={"PATH": os.environ["PATH"]}))


def assert_same(python, site):
    plain, ours = answers(python, site, False), answers(python, site, True)
    # The order of equal distributions is that of the listing, which both take.
    assert {key: ours[key] for key in ("all", "group", "own")} == {
        key: plain[key] for key in ("all", "group", "own")
    }
    return ours


def test_nothing_is_parsed_in_a_copy(copied, python):
    ours = assert_same(python, copied)
    assert len(ours["all"]) == 5 and len(ours["group"]) == 2
    assert ours["parsed"] == []


def same_length(path):
    path.write_text(path.read_text().replace("foo:a", "fog:a").replace("Name: foo", "Name: fop"))


CHANGES = {
    "entry points of the same length": lambda site: same_length(site / "foo-1.dist-info/entry_points.txt"),
    "metadata of the same length": lambda site: same_length(site / "foo-1.dist-info/METADATA"),
    "entry points that came": lambda site: (site / "plain-1.dist-info/entry_points.txt").write_text(
        "[g]\nc = c:c\n"
    ),
    "entry points that went": lambda site: (site / "foo-1.dist-info/entry_points.txt").unlink(),
    "zeros at the end": lambda site: (site / "bar-1.dist-info/entry_points.txt").write_bytes(
        b"[h]\nb = bar:qebdxuox\n\0\0"
    ),
    # The checksum of segments, of 30 bits, is the same for both.
    "entry points of the same length and checksum": lambda site: (
        site / "bar-1.dist-info/entry_points.txt"
    ).write_text("[h]\nb = bar:qefjxudx\n"),
    "METADATA beside PKG-INFO": lambda site: (site / "old-1.egg-info/METADATA").write_text(
        "Name: new\nVersion: 2\n"
    ),
    "PKG-INFO changed": lambda site: (site / "old-1.egg-info/PKG-INFO").write_text("Name: ola\nVersion: 1\n"),
    "metadata that is not UTF-8": lambda site: (site / "foo-1.dist-info/METADATA").write_bytes(
        b"Name: foo\nVersion: 1\n\n\xff\n"
    ),
    "a single file that changed": lambda site: (site / "file-1.egg-info").write_text(
        "Metadata-Version: 1.0\nName: fill\nVersion: 1\n"
    ),
    "a single file that became a directory": lambda site: (
        (site / "file-1.egg-info").unlink(),
        add(site, "file-1.egg-info", "[g]\nf = file:f\n"),
    ),
    "a distribution that came": lambda site: add(site, "new-1.dist-info", "[g]\nn = new:n\n"),
    "a distribution that went": lambda site: shutil.rmtree(site / "foo-1.dist-info"),
    "files exchanged": lambda site: shutil.copy(
        site / "foo-1.dist-info/entry_points.txt", site / "bar-1.dist-info/entry_points.txt"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_file_is_seen(copied, change):
    pythons = list(INTERPRETERS.values())
    python = pythons[list(CHANGES).index(change) % len(pythons)]
    CHANGES[change](copied)
    with_one_time(copied)
    assert_same(python, copied)


@pytest.mark.filterwarnings("ignore::epcache.StaleIndexWarning")
def test_a_change_between_two_questions_is_seen(copied, monkeypatch):
    import sys

    import epcache as reader

    monkeypatch.setattr(sys, "path", [str(copied)])
    values = lambda: sorted(ep.value for ep in reader.entry_points(group="g"))  # noqa: E731
    assert values() == ["foo:a", "old:o"]
    same_length(copied / "foo-1.dist-info/entry_points.txt")
    with_one_time(copied)
    assert values() == ["fog:a", "old:o"]
    (copied / "plain-1.dist-info/entry_points.txt").write_text("[g]\nc = c:c\n")
    with_one_time(copied)
    assert values() == ["c:c", "fog:a", "old:o"]


def test_two_builds_give_the_same_bytes(tmp_path, epcache):
    indexes = []
    for name, order in (("one", [1, 2, 3]), ("other", [3, 1, 2])):
        site = tmp_path / name
        for number in order:
            add(site, f"d{number}-1.dist-info", f"[g]\na = d{number}:a\n")
            (site / f"d{number}.py").touch()
        epcache("refresh", "--seal", site, env=dict(os.environ, SOURCE_DATE_EPOCH="1700000000"))
        indexes.append((site / ".epcache" / "index").read_bytes())
    assert indexes[0] == indexes[1]
    assert index_reader.parse(indexes[0]).seal == "contents"


def status_of(epcache, site):
    """What `epcache status` says, whose exit status is that of the state."""
    done = subprocess.run([epcache.binary, "status", "--json", site], capture_output=True, text=True)
    (found,) = json.loads(done.stdout)
    assert done.returncode == (found["state"] != "fresh")
    return found


def test_a_seal_by_contents_is_fresh_until_a_distribution_changes(tmp_path, epcache):
    site = tmp_path / "site"
    add(site, "foo-1.dist-info", "[g]\na = foo:a\n")
    environment = dict(os.environ, SOURCE_DATE_EPOCH="1")
    assert "sealed" in epcache("refresh", "--seal", site, env=environment)
    before = os.stat(site / ".epcache" / "index")
    epcache("refresh", "--seal", site, env=environment)
    assert os.stat(site / ".epcache" / "index") == before, "written again"
    status = status_of(epcache, site)
    assert (status["state"], status["sealed"]) == ("fresh", True), status
    same_length(site / "foo-1.dist-info/entry_points.txt")
    status = status_of(epcache, site)
    assert status["state"] == "stale" and "--seal" in status["hint"], status
    epcache("refresh", site)
    status = status_of(epcache, site)
    assert not status["sealed"], status
