"""Indexes for the directories that the suites make, as if a package manager's trigger ran.

The fixtures of the suites make directories below ``$TMPDIR`` and change them in many ways. So before
every query of a test each directory is checked. If anything in it has changed, the tool updates its
index. So an index describes the disk whenever a test asks, as on a system where every installer runs
``epcache``.
"""

import contextlib
import functools
import os
import posix
import pwd
import stat
import subprocess
import tempfile

from support.messages import NOT_A_SITE

from . import index_file


class Kind:
    """How an index is changed after the tool has written it, and how it may then be proven."""

    YOUNG = "young"  # unchanged: new directories count as unsettled, their own stamps are compared
    SETTLED = "settled"  # as the tool writes it some seconds later: one stat proves everything
    CHANGED = "changed"  # SITE's stamp changes once more: every distribution has to be proven for itself
    OUTDATED = "outdated"  # the same, and every file had other contents when the tool read it
    UNTRUSTED = "untrusted"  # unchanged, but it is the index of a user who is not trusted with code


# Stands for `epcache`, which need not exist here.
UNTRUSTED_USER = "nobody"


class FixtureIndexes:
    def __init__(self, tool, kind):
        self._tool = tool
        self._kind = kind
        self._seen = {}
        self.made = 0
        # The directories with distributions that have got an index since `forget`.
        self.present = set()

    def forget(self):
        self.present.clear()

    def refresh(self):
        """Bring the indexes of all directories of the fixtures up to date."""
        root = tempfile.gettempdir()
        for name in posix.listdir(root):
            site = root + "/" + name
            if stat.S_ISDIR(posix.lstat(site).st_mode):
                self._refresh(site)

    def _refresh(self, site):
        if self._seen.get(site) == contents(site):
            return
        if self._kind == Kind.OUTDATED:
            with other_contents(site):
                self._index(site)
        else:
            self._index(site)
        self._seen[site] = contents(site)

    def _index(self, site):
        done = subprocess.run(
            [self._tool, "refresh", site], check=False, capture_output=True, text=True, timeout=60
        )
        if NOT_A_SITE in done.stderr:
            return
        assert done.returncode == 0, f"epcache refresh {site}: {done.stderr}"
        index = site + "/.epcache/index"
        self.made += 1
        if self._kind == Kind.UNTRUSTED:
            index = move_to_system_cache(index, site)
        elif self._kind == Kind.SETTLED:
            index_file.settle(index)
        elif self._kind in (Kind.CHANGED, Kind.OUTDATED):
            posix.mkdir(site + "/moved")
            posix.rmdir(site + "/moved")
        if index_file.count(index):
            self.present.add(site)

    def ask_first(self, module):
        """Refresh the indexes before every query to `module` (importlib.metadata or importlib_metadata)."""
        for name in ("entry_points", "version", "packages_distributions"):
            if hasattr(module, name):
                setattr(module, name, self._before(getattr(module, name)))
        # Everything else begins with this method of Distribution.
        resolvers = module.Distribution._discover_resolvers
        module.Distribution._discover_resolvers = staticmethod(self._before(resolvers))

    def _before(self, question):
        @functools.wraps(question)
        def ask(*arguments, **options):
            self.refresh()
            return question(*arguments, **options)

        return ask


@contextlib.contextmanager
def other_contents(site):
    """Change the contents of every file of a distribution after it was indexed.

    Each is rewritten in place with the same size, and its mtime is restored, so that only its ctime shows
    the change.
    """
    changed = []
    for path, status in metadata_files(site):
        with open(path, "rb") as file:
            former = file.read()
        other = former.replace(b"1", b"7").replace(b"main", b"gone").replace(b"mod", b"old")
        if other == former:
            other = former.swapcase()
        overwrite(path, other, status)
        changed.append((path, former, status))
    try:
        yield
    finally:
        for path, former, status in changed:
            overwrite(path, former, status)


def overwrite(path, data, status):
    with open(path, "r+b") as file:
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def metadata_files(site):
    """The regular files of the distributions in a directory, and their status."""
    for name in posix.listdir(site):
        if not name.lower().endswith((".dist-info", ".egg-info")):
            continue
        top = site + "/" + name
        directory = stat.S_ISDIR(posix.lstat(top).st_mode)
        for path in [top + "/" + file for file in posix.listdir(top)] if directory else [top]:
            status = posix.lstat(path)
            if stat.S_ISREG(status.st_mode):
                yield path, status


def move_to_system_cache(index, site):
    """Make an index one of the untrusted user; returns its path."""
    import epcache

    path = f"{epcache.SYSTEM_CACHE}{site}/index"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.rename(index, path)
    os.chown(path, pwd.getpwnam(UNTRUSTED_USER).pw_uid, -1)
    return path


def contents(directory):
    """The stamps of all files below a directory, except the index."""
    found = {}
    pending = [directory]
    while pending:
        path = pending.pop()
        status = posix.lstat(path)
        found[path] = status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
        if stat.S_ISDIR(status.st_mode):
            pending += [os.path.join(path, name) for name in posix.listdir(path) if name != ".epcache"]
    return found
