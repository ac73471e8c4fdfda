"""Debian's maintainer scripts, run by hand for the tree of another system: who removes what."""

import os
import pathlib
import subprocess
import tempfile

import pytest

from .chroot import CHECKOUT

USER = 64300
FAILING = "#!/bin/sh\nexit 1\n"


class Tree:
    """A system's tree with a cache directory, and a `find` that records the user as whom it runs."""

    def __init__(self, top, programs):
        self.top, self.bin, self.log = top / "tree", programs / "bin", programs / "log"
        self.cache = self.top / "var/cache/epcache"
        for directory in (self.top / "etc", self.top / "usr/bin", self.cache / "usr/lib", self.bin):
            directory.mkdir(parents=True)
        self.program("find", f'#!/bin/sh\nid -u >>{self.log}\nid -G >>{self.log}\nexec /usr/bin/find "$@"\n')
        # The user can't be made, as in a tree without these programs.
        self.program("systemd-sysusers", FAILING)
        self.program("useradd", FAILING)
        self.program(self.top / "usr/bin/epcache", FAILING)
        self.users(f"epcache:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin\n")
        (self.cache / "usr/lib/index").write_text("")
        (self.cache / "link").symlink_to(top)
        self.log.write_text("")
        self.log.chmod(0o666)
        self.give(USER)

    def program(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def users(self, text):
        (self.top / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n" + text)

    def give(self, uid):
        for directory, _, names in os.walk(self.cache):
            for path in [directory, *(os.path.join(directory, name) for name in names)]:
                os.chown(path, uid, uid, follow_symlinks=False)

    def run(self, script, *arguments):
        path = f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "DPKG_ROOT": str(self.top)}
        command = ["sh", CHECKOUT / "debian" / f"epcache.{script}", *arguments]
        return subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=True).stderr

    def walkers(self):
        """The users as whom `find` ran, each with its groups."""
        return set(self.log.read_text().split())


@pytest.fixture
def tree(tmp_path):
    # The user of the tree can't enter the directories above it, as with a tree in root's home.
    assert not tmp_path.parent.stat().st_mode & 0o007
    with tempfile.TemporaryDirectory() as programs:
        os.chmod(programs, 0o755)
        yield Tree(tmp_path, pathlib.Path(programs))


def test_indexes_are_removed_as_their_owner_where_the_trigger_can_not_run(tree):
    assert "the indexes are removed" in tree.run("postinst", "triggered", "/usr/lib/python3")
    assert list(tree.cache.iterdir()) == [] and tree.walkers() == {str(USER)}


def test_a_cache_of_another_user_is_emptied_as_that_user_before_it_is_given_away(tree):
    tree.users("epcache:x:64301:64301::/nonexistent:/usr/sbin/nologin\n")
    tree.run("postinst", "configure")
    found = tree.cache.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (64301, 64301, 0o755)
    assert list(tree.cache.iterdir()) == [] and str(USER) in tree.walkers() and "0" not in tree.walkers()


def test_without_the_user_the_indexes_are_removed_all_the_same(tree):
    tree.users("")
    said = tree.run("postinst", "configure")
    assert "the user epcache could not be made" in said
    assert list(tree.cache.iterdir()) == [] and tree.walkers() == {str(USER)}


def test_removal_leaves_nothing_and_root_walks_nothing(tree):
    tree.run("postrm", "remove")
    assert not tree.cache.exists() and tree.walkers() == {str(USER)}
    assert tree.run("postrm", "purge") == ""


def test_a_cache_that_can_not_be_emptied_is_renamed(tree):
    tree.program("setpriv", FAILING)
    tree.run("postrm", "remove")
    assert not tree.cache.exists() and (tree.cache.parent / "epcache.erased").is_dir()
