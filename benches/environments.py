"""Virtual environments that share a large site directory, one interpreter after the other.

The site directory is moved into the environment of each interpreter, and its index is written again
there. The distributions are those of `site_directory`. All files that their RECORD names exist, since
`packages_distributions` checks each of them.
"""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import site_directory
from processes import Failed

GROUP = "pytest11"
INSTALLING = 3.1  # s; distributions installed more recently make the reader check the directory twice
PACKAGE = Path(__file__).parent.parent / "python/epcache"


def install_reader(site):
    """Copy the reader into a site directory, without byte code."""
    for package in (PACKAGE, PACKAGE.with_name("epcache_startup")):
        shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("__pycache__"))


class Site:
    """A site directory with a given number of distributions, and the reader."""

    def __init__(self, path, contents, everything):
        self.path = self.home = Path(path)
        self.contents = contents
        site_directory.make(self.path, contents) if everything else _make_metadata(self.path, contents)
        if everything:
            _make_modules(self.path, contents)
        install_reader(self.path)
        # Where the byte code of single-file modules goes.
        (self.path / "__pycache__").mkdir()
        time.sleep(INSTALLING)

    @classmethod
    def large(cls, base, count):
        """A site directory in which all files exist."""
        return cls(f"{base}/site-{count}", site_directory.distributions(count), everything=True)

    @classmethod
    def larger(cls, base, count, other):
        """A site directory of `count` distributions, whose groups of plugins are those of `other`."""
        more = site_directory.distributions(count)[len(other.contents) :]
        for distribution in more:
            for group in site_directory.PLUGIN_GROUPS:
                distribution.entry_points.pop(group, None)
        return cls(f"{base}/site-{count}", other.contents + more, everything=False)

    def upgrade(self, back=False):
        """Install another version of a distribution in the group; with `back`, the old version again."""
        changed = next(one for one in self.contents if GROUP in one.entry_points)
        old = self.path / changed.directory
        new = self.path / f"{changed.module}-99.{changed.kind}"
        if back:
            old, new = new, old
        # As pip does: the new version is there before the old one is removed.
        shutil.copytree(old, new, copy_function=shutil.copyfile)
        shutil.rmtree(old)
        time.sleep(INSTALLING)


def _make_metadata(site, contents):
    """Write the files that a query for a group reads, and the file that an installer writes last."""
    os.makedirs(site)
    for distribution in contents:
        base = site / distribution.directory
        if distribution.kind == "egg-info file":
            base.write_text(distribution.metadata)
            continue
        base.mkdir()
        for name, text in distribution.files().items():
            if name in ("METADATA", "PKG-INFO", "entry_points.txt", "INSTALLER", "installed-files.txt"):
                (base / name).write_text(text)
        if distribution.kind == "dist-info":
            (base / "RECORD").write_text(f"{distribution.directory}/RECORD,,\n")


def _make_modules(site, contents):
    """Give each .dist-info a package, so that its RECORD has 20 to 200 lines."""
    for distribution in contents:
        if distribution.kind != "dist-info":
            continue
        record = site / distribution.directory / "RECORD"
        count = int(20 * 10 ** random.Random(distribution.project).random()) - 8
        package = site / distribution.module
        package.mkdir(exist_ok=True)
        names = [f"{distribution.module}/part_{number}.py" for number in range(count)]
        for name in names:
            (site / name).touch()
        lines = "".join(f"{name},sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n" for name in names)
        record.write_text(lines + record.read_text())


class Environment:
    """The virtual environment of one interpreter with a `Site` in it, for the duration of the context."""

    def __init__(self, base, python, site, epcache):
        self.directory = Path(base, f"environment-{len(site.contents)}")
        self._site = site
        self._base_python = python
        self._epcache = epcache

    def __enter__(self):
        create = [self._base_python, "-m", "venv", "--without-pip", self.directory]
        subprocess.run(create, check=True)
        self.python = self.directory / "bin/python"
        (self.site,) = self.directory.glob("lib/python3.*/site-packages")
        self.site.rmdir()
        self._site.path.rename(self.site)
        self._site.path = self.site
        self.environment = {"HOME": str(self.directory)}
        # Nothing is compiled or written during a measurement.
        packages = [self.site / "epcache", self.site / "epcache_startup"]
        compiled = [self.python, "-I", "-m", "compileall", "-q", *packages]
        subprocess.run(compiled, check=True, env=self.environment)
        self.refresh()
        return self

    def __exit__(self, *_):
        self.call("disable", self.site)
        self.site.rename(self._site.home)
        self._site.path = self._site.home
        shutil.rmtree(self.directory)

    def refresh(self):
        """Bring the index up to date, so that one stat proves it."""
        self.call("refresh", self.site)
        if "fresh" not in self.call("status", self.site):
            raise Failed(f"{self.site}: the index is not fresh")

    def call(self, *arguments):
        """Run the program and return its output."""
        command = [self._epcache, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        if done.returncode != 0:
            raise Failed(f"{command}: exit status {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout
