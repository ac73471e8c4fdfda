"""An index that is part of an image: used where no other proves the directory, and right whatever has changed."""

import importlib.metadata
import os
import shutil
import sys

import epcache as reader
import pytest
from epcache import _scan
from support import index_writer
from support.environments import add

from . import warned


@pytest.fixture
def looked_for(monkeypatch):
    """The paths at which an index has been looked for."""
    paths = []
    real = reader.open_index

    def open_index(path, *arguments):
        paths.append(path)
        return real(path, *arguments)

    for module in (reader, _scan):
        monkeypatch.setattr(module, "open_index", open_index)
    return paths


@pytest.fixture
def site(tmp_path, monkeypatch, epcache):
    """A site directory below the `/usr` of these tests, all of whose files have the same time, and its index there."""
    monkeypatch.setattr(reader, "USR", str(tmp_path / "usr"))
    monkeypatch.setattr(reader, "SYSTEM_CACHE", str(tmp_path / "var"))
    monkeypatch.setattr(reader, "_known", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    site = tmp_path / "usr/lib/python3/dist-packages"
    add(site, "foo-1.dist-info", "[g]\na = foo:a\n[h]\nb = foo:b\n")
    add(site, "bar-1.dist-info", "[h]\nb = bar:b\n")
    add(site, "plain-1.dist-info")
    # What `--usr` writes below a `/usr` that is not that of the system.
    epcache("refresh", "--seal", site, env=dict(os.environ, SOURCE_DATE_EPOCH="0"))
    index = in_image(site)
    index.parent.mkdir(parents=True)
    os.rename(site / ".epcache/index", index)
    shutil.rmtree(site / ".epcache")
    with_one_time(site)
    # After a path entry that does not exist: the first one is opened, not stat'ed.
    monkeypatch.setattr(sys, "path", [str(tmp_path / "nothing"), str(site)])
    return site


def in_image(site):
    return site.parents[3] / f"usr/lib/epcache/index{site}/index"


def in_cache(site):
    return site.parents[3] / f"var{site}/index"


def with_one_time(site):
    for path in [*site.rglob("*"), site]:
        os.utime(path, (0, 0))


def assert_right():
    """Check that the answers are those of importlib.metadata. Returns the warnings."""
    # Its listings are cached by the mtime of the directory.
    importlib.metadata.FastPath.__new__.cache_clear()
    found, messages = warned.entry_points()
    everything = [
        (ep.group, ep.name, ep.value)
        for distribution in importlib.metadata.distributions()
        for ep in distribution.entry_points
    ]
    assert sorted((ep.group, ep.name, ep.value) for ep in found) == sorted(everything)
    versions = {dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions()}
    assert {name: reader.version(name) for name in versions} == versions
    return messages


def used():
    """The index from which the answers come."""
    ((_, view),) = _scan.FullScan(sys.path).sources
    return None if view.index is None else view.index.path


def test_it_is_used_where_nothing_else_is(site):
    assert assert_right() == []
    assert used() == str(in_image(site))


def rebuild(site):
    (site / "foo-1.dist-info/entry_points.txt").write_text("[g]\na = foo:z\n[h]\nb = foo:b\n")


def upgrade(site):
    shutil.rmtree(site / "foo-1.dist-info")
    add(site, "foo-2.dist-info", "[g]\nnew = foo:new\n")


CHANGES = {
    "a rebuilt package": rebuild,
    "another version": upgrade,
    "metadata of the same length": lambda site: (site / "bar-1.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: bar\nVersion: 2\n"
    ),
    "entry points where there were none": lambda site: (
        site / "plain-1.dist-info/entry_points.txt"
    ).write_text("[g]\np = plain:p\n"),
    "a new package": lambda site: add(site, "new-1.dist-info", "[g]\nn = new:n\n"),
    "a removed package": lambda site: shutil.rmtree(site / "foo-1.dist-info"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_below_it_is_seen(site, change):
    change(site)
    with_one_time(site)
    assert assert_right() == []
    assert used() == str(in_image(site))
    # A program that runs sees the next one as well.
    add(site, "later-1.dist-info", "[g]\nl = later:l\n")
    with_one_time(site)
    assert_right()


def test_an_index_in_var_that_proves_the_directory_comes_first(site, looked_for):
    index_writer.write(str(site), str(in_cache(site)))
    found, messages = warned.entry_points(group="g")
    assert ([ep.value for ep in found], messages) == (["foo:a"], [])
    assert looked_for[-1] == str(in_cache(site)) and str(in_image(site)) not in looked_for


def test_it_is_better_than_one_in_var_that_does_not(site):
    """As after another deployment, until the service at boot has run."""
    index_writer.write(str(site), str(in_cache(site)))
    upgrade(site)
    assert assert_right() == []
    assert used() == str(in_image(site))
    in_image(site).unlink()
    (message,) = assert_right()
    assert f"the index {in_cache(site)} is stale" in message


def test_it_is_looked_for_in_usr_alone(site, tmp_path, monkeypatch, looked_for):
    other = tmp_path / "opt/site"
    shutil.copytree(site, other)
    shutil.copytree(in_image(site).parent, tmp_path / f"usr/lib/epcache/index{other}")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "nothing"), str(other)])
    assert_right()
    assert not [path for path in looked_for if path.startswith(str(tmp_path / "usr"))]


@pytest.mark.skipif(os.geteuid() != 0, reason="files of other users can't be made")
@pytest.mark.parametrize(
    "owner, mode, why",
    [
        (12345, 0o644, "belongs to user 12345, who is not trusted here"),
        (0, 0o664, "may be written by others than its owner (mode 0664)"),
        (0, 0o646, "may be written by others than its owner (mode 0646)"),
    ],
)
def test_one_of_others_is_skipped_with_a_warning(site, owner, mode, why):
    index = in_image(site)
    os.chown(index, owner, -1)
    index.chmod(mode)
    (message,) = assert_right()
    assert f"the index {index} {why}" in message
    # Neither the owner of the directory nor the reader, who may be the same, is root.
    os.chown(site, owner, -1)
    (message,) = assert_right()
    assert f"the index {index} {why}" in message
    assert used() is None
