"""The trees that become images: an environment that pip fills, and a system that dpkg fills."""

import json
import os
import shutil
import subprocess

from support import wheels
from support.checkout import release_program
from support.interpreters import INTERPRETERS

from .oci import run

EPCACHE = release_program()
CACHE_USER = 43210
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]

# 2020-02-02 02:02:02 UTC: all files in the packages of dpkg have this time.
PACKAGED = 1580608922


class Environment:
    """/opt/venv below `root`."""

    PLACE = "/opt/venv/lib/python3.13/site-packages"

    def __init__(self, root):
        self.root = root
        self.site = root / self.PLACE.lstrip("/")
        self.python = root / "opt/venv/bin/python"

    @classmethod
    def make(cls, root):
        """An empty environment, made by `venv`."""
        run(INTERPRETERS["3.13"], "-m", "venv", "--without-pip", root / "opt/venv")
        return cls(root)

    def install(self, *releases, leave_out=()):
        """Let pip install wheels of releases, named as `alpha-1`, made without the metadata files `leave_out`."""
        wheelhouse = self.root / "wheels"
        wheelhouse.mkdir()
        paths = [wheels.make(wheelhouse, *release.split("-"), leave_out=leave_out) for release in releases]
        options = ["--no-index", "--no-deps", "--no-warn-script-location", "--root-user-action=ignore"]
        self._pip("install", "--force-reinstall", *options, *paths)
        shutil.rmtree(wheelhouse)

    def remove(self, name):
        """Let pip uninstall a distribution."""
        self._pip("uninstall", "--yes", "--root-user-action=ignore", name)

    def replace_unseen(self, wheel, leave_out=()):
        """Replace files by hand as pip would, for trees whose times are all equal."""
        before = os.stat(self.site).st_mtime_ns
        self.install(wheel, leave_out=leave_out)
        os.utime(self.site, ns=(before, before))

    def _pip(self, *arguments):
        run(INTERPRETERS["3.13"], *PIP, "--python", self.python, *arguments)

    def refresh(self, *options):
        """The result of `epcache refresh --json` for it."""
        return json.loads(run(*self.command("refresh", "--json", *options)))

    def command(self, *words):
        """The command line for a subcommand with its options."""
        return [EPCACHE, *words, self.site]

    def status(self):
        """The result of `epcache status --json` for it."""
        done = subprocess.run(self.command("status", "--json"), capture_output=True, text=True)
        (status,) = json.loads(done.stdout)
        return status


class System:
    """A tree with a package database, a site directory of the system and the cache for its index."""

    PLACE = "/usr/lib/python3/dist-packages"

    def __init__(self, root):
        self.root = root
        self.site = root / self.PLACE.lstrip("/")
        self.index = root / f"var/cache/epcache{self.PLACE}/index"
        self.index_in_usr = root / f"usr/lib/epcache/index{self.PLACE}/index"
        self.database = root / "var/lib/dpkg/status"

    @classmethod
    def make(cls, root):
        """A tree in which no package is installed."""
        self = cls(root)
        for directory in ("etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"):
            (root / directory).mkdir(parents=True)
        for name in ("status", "available"):
            (root / "var/lib/dpkg" / name).touch()
        cache = root / "var/cache/epcache"
        cache.mkdir(parents=True)
        os.chown(cache, CACHE_USER, CACHE_USER)
        users = f"root:x:0:0::/:/bin/sh\nepcache:x:{CACHE_USER}:{CACHE_USER}::/:/usr/sbin/nologin\n"
        (root / "etc/passwd").write_text(users)
        return self

    def dpkg(self, *packages, value="run"):
        """Let dpkg install packages named as `alpha-1`; `value` is the value of their entry points."""
        made = []
        for package in packages:
            name, _, version = package.partition("-")
            info = self.PLACE + f"/{name}-{version}.dist-info"
            made.append(
                self._made(
                    name,
                    {
                        f"{self.PLACE}/{name}/__init__.py": "def run(): pass\ndef ran(): pass\n",
                        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                        f"{info}/entry_points.txt": f"[probe]\n{name} = {name}:{value}\n",
                        f"{info}/top_level.txt": f"{name}\n",
                    },
                )
            )
        self._dpkg("--install", *made)

    def install_trigger(self):
        """Install a package with the trigger of epcache, as the real one has it."""
        script = f'#!/bin/sh\nset -e\nif [ "$1" = triggered ]; then shift; {EPCACHE} trigger dpkg $*; fi\n'
        control = {"postinst": script, "triggers": f"interest-noawait {self.PLACE}\n"}
        self._dpkg("--install", self._made("trigger", {"/usr/share/doc/trigger": ""}, control))

    def remove(self, name):
        """Let dpkg remove a package."""
        self._dpkg("--purge", name)

    def _dpkg(self, *arguments):
        force = ["--force-not-root", "--force-script-chrootless", "--log=/dev/null"]
        run("dpkg", f"--root={self.root}", *force, *arguments)

    def _made(self, name, files, control=None):
        tree = self.root / "package"
        control = dict(control or {})
        control["control"] = (
            f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n"
        )
        files = {**files, **{f"DEBIAN/{file}": text for file, text in control.items()}}
        for path, text in files.items():
            file = tree / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if file.name == "postinst" else 0o644)
        for directory, _, names in os.walk(tree):
            for file in [directory, *(os.path.join(directory, name) for name in names)]:
                os.utime(file, (PACKAGED, PACKAGED))
        package = self.root.parent / f"{name}.deb"
        run("dpkg-deb", "--build", "--root-owner-group", tree, package)
        shutil.rmtree(tree)
        return package

    def set_times(self, time):
        """Give everything in `/usr` this mtime."""
        for path in [*(self.root / "usr").rglob("*"), self.root / "usr"]:
            os.utime(path, (time, time))

    def refresh(self, *options):
        """The result of `epcache refresh --json` for it."""
        return json.loads(run(EPCACHE, "refresh", "--json", "--system", "--root", self.root, *options))

    def status(self):
        """The result of `epcache status --json` for it."""
        command = [EPCACHE, "status", "--json", "--system", "--root", self.root]
        (status,) = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
        return status
