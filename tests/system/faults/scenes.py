"""The situation of a command when a fault occurs: site directories, and their recent changes.

A scene is made anew for each fault: with an index from before a change, or without one.
"""

import os
import pathlib
import shutil
import subprocess
import time

from support import index_writer
from support.checkout import release_program

from . import machine

# More than a tick of the clock for file stamps, which is 10 ms at most.
TICK = 0.011
BETA = "beta-2.egg-info"


class Scene:
    """The base class: how to run the command, and what must hold afterwards."""

    user = None  # the user that runs the command
    listed = os.devnull  # the standard input
    caller = None  # the caller of a trigger that acts on its exit status: `rpm` or `dpkg`

    def __init__(self, directory, old):
        for kept in machine.CACHE.iterdir():
            kept.unlink() if kept.is_symlink() else shutil.rmtree(kept)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(mode=0o755)
        self.variables = machine.environment()
        self.make()
        if old:
            # Wait for a clock tick between any two of them.
            time.sleep(TICK)
            self.index()
            time.sleep(TICK)
            self.change()
        time.sleep(TICK)

    def remove(self):
        shutil.rmtree(self.directory)

    def run(self):
        """Run the command without a fault."""
        with self.input() as listed:
            return subprocess.run(
                [release_program(), *self.arguments],
                stdin=listed,
                capture_output=True,
                text=True,
                env=self.variables,
                timeout=60,
                **self.identity(),
            )

    def input(self):
        return open(self.listed)

    def identity(self):
        return {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}

    def files(self):
        """The attributes that show whether an index has been replaced."""
        found = [index.stat() for index in self.indexes() if index.exists()]
        return [(info.st_ino, info.st_ctime_ns) for info in found]

    def leftovers(self):
        """Files in the directories of the indexes that do not belong there."""
        wrong = []
        for index in self.indexes():
            found = sorted(os.listdir(index.parent)) if index.parent.exists() else []
            wrong += [str(index.parent / name) for name in found if name not in ("index", "lock")]
        return wrong

    def states(self):
        """The states that the indexes may have after the command has ended."""
        return ("fresh",)


def fill(site):
    """Write three distributions of three kinds, with modules."""
    site.mkdir(parents=True, exist_ok=True)
    add(site, "alpha-1.dist-info", "alpha")
    put(site / BETA / "PKG-INFO", "Metadata-Version: 2.1\nName: beta\nVersion: 2\n")
    put(site / BETA / "entry_points.txt", "[g]\nbeta = beta:one\n")
    put(site / BETA / "SOURCES.txt", "beta/__init__.py\n")
    put(site / "beta/__init__.py", "")
    put(site / "gamma-3.egg-info", "Metadata-Version: 1.1\nName: gamma\nVersion: 3\n")


def add(site, directory, name):
    put(site / directory / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    put(
        site / directory / "entry_points.txt",
        f"[g]\n{name} = {name}:one\n[console_scripts]\n{name} = {name}:main\n",
    )
    put(site / directory / "RECORD", f"{name}/__init__.py,,\n{directory}/RECORD,,\n")
    put(site / name / "__init__.py", "")


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rebuild(site, directory, name):
    """A release-only upgrade, as rpm and dpkg do it: a new file over the old one, with its time and size.
    No reader can see the change by one stat."""
    before = os.stat(site)
    file = site / directory / "entry_points.txt"
    old = file.stat()
    new = file.with_name("entry_points.txt.dpkg-new")
    new.write_text(file.read_text().replace(":one", ":two").replace(f"{name} =", f"{name[:-1]}X ="))
    os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))
    new.rename(file)
    after = os.stat(site)
    assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)


class Environment(Scene):
    """`epcache refresh DIR` of an environment, by root."""

    def make(self):
        library = self.directory / "lib/python3.13"
        base = self.directory / "base"
        put(base / "lib/python3.13/os.py", "")
        put(base / "lib/python3.13/lib-dynload/math.so", "")
        put(self.directory / "pyvenv.cfg", f"home = {base}/bin\n")
        self.site = library / "site-packages"
        fill(self.site)
        for path in [self.directory, *self.directory.rglob("*")]:
            os.chown(path, machine.OWNER, machine.OWNER)
        self.arguments = ["refresh", str(self.site)]
        self.sites = [self.site]

    def index(self):
        # A settled index. epcache would have to wait for three seconds.
        index = pathlib.Path(index_writer.write(self.site))
        for path in (index, index.parent):
            os.chown(path, machine.OWNER, machine.OWNER)

    def change(self):
        """One distribution is installed, one removed, one upgraded."""
        add(self.site, "delta-1.dist-info", "delta")
        (self.site / "gamma-3.egg-info").unlink()
        put(self.site / "alpha-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: alpha\nVersion: 1\n\n")
        (self.site / "alpha-1.dist-info").rename(self.site / "alpha-4.dist-info")
        for path in self.site.rglob("*"):
            os.lchown(path, machine.OWNER, machine.OWNER)

    def indexes(self):
        return [self.site / ".epcache/index"]

    def states(self):
        # A distribution younger than three seconds may still be incomplete.
        return ("fresh", "unsettled")


class OwnEnvironment(Environment):
    """The same, run by its owner."""

    user = machine.OWNER


class SystemWide(Scene):
    """`epcache refresh --system` by root: two directories of the configuration."""

    arguments = ["refresh", "--system"]

    def make(self):
        self.sites = [self.directory / "one/site-packages", self.directory / "two/site-packages"]
        for site in self.sites:
            fill(site)
        machine.configure([f"{self.directory}/one/site-packages", f"{self.directory}/t*/site-packages"])

    def index(self):
        done = subprocess.run(
            [release_program(), "trigger", "rpm"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.variables,
        )
        assert done.returncode == 0 and not done.stderr, done

    def change(self):
        add(self.sites[0], "delta-1.dist-info", "delta")
        (self.sites[1] / "gamma-3.egg-info").unlink()

    def indexes(self):
        return [pathlib.Path(f"{machine.CACHE}{site}/index") for site in self.sites]

    def states(self):
        return ("fresh", "unsettled")


class RpmTrigger(SystemWide):
    """`epcache trigger rpm`, with the list of files on standard input."""

    arguments = ["trigger", "rpm", "--json"]
    caller = "rpm"

    def make(self):
        super().make()
        self.listed = self.directory / "listed"
        one, two = self.sites
        self.listed.write_text(f"{one}/alpha-1.dist-info/entry_points.txt\n{two}/beta-2.egg-info/PKG-INFO\n")

    def change(self):
        rebuild(self.sites[0], "alpha-1.dist-info", "alpha")
        rebuild(self.sites[1], BETA, "beta")

    def states(self):
        return ("fresh",)


class DpkgTrigger(Scene):
    """`epcache trigger dpkg` for the system in `DPKG_ROOT`; one of its directories is a default one."""

    arguments = ["trigger", "dpkg", "--json", "/usr/lib/python3/dist-packages"]
    caller = "dpkg"

    def make(self):
        self.variables["DPKG_ROOT"] = str(self.directory)
        user = machine.CACHE_USER
        put(self.directory / "etc/passwd", f"root:x:0:0::/:/bin/sh\nepcache:x:{user}:{user}::/:\n")
        self.cache = self.directory / "var/cache/epcache"
        self.cache.mkdir(parents=True)
        os.chown(self.cache, user, user)
        # A reader outside of the root finds the indexes under its own paths.
        seen = machine.CACHE / str(self.directory)[1:]
        seen.parent.mkdir(parents=True)
        seen.symlink_to(self.cache)
        machine.configure(["/usr/lib/python3/dist-packages", "/opt/*/site-packages"], self.directory)
        self.sites = [
            self.directory / "usr/lib/python3/dist-packages",
            self.directory / "opt/python/site-packages",
        ]
        for site in self.sites:
            fill(site)

    def index(self):
        done = self.run()
        assert done.returncode == 0 and not done.stderr, done

    def change(self):
        rebuild(self.sites[0], BETA, "beta")
        rebuild(self.sites[1], "alpha-1.dist-info", "alpha")

    def indexes(self):
        return [self.cache / site.relative_to(self.directory) / "index" for site in self.sites]


SCENES = [Environment, OwnEnvironment, SystemWide, RpmTrigger, DpkgTrigger]
