"""The directories of one history, and the writers of their indexes.

Everything is below one directory: the site directories in ``s``, a configuration that makes those kept by
the package manager system-wide (`DPKG_ROOT`), the system cache that results, a user's cache,
uv's cache, the zip files.
"""

import os
import shutil
import subprocess
import zipfile

from .. import index_writer
from ..messages import NOT_A_SITE
from . import edits, meddling

SYSTEM_USER = 61183


class World:
    """The files of a history, and the changes that its steps make."""

    def __init__(self, root, epcache, sites):
        self.root = str(root)
        self.epcache = epcache
        self.sites = dict(sites)
        # By site directory: the stamps with which its indexes were made.
        self.indexed = {name: set() for name in sites}
        for name in sites:
            os.makedirs(self.site(name))
        self.put("file.txt", "x\n")
        os.symlink("s", self.at("link"))
        self.put(
            "etc/passwd", f"root:x:0:0::/:/bin/sh\nepcache:x:{SYSTEM_USER}:{SYSTEM_USER}::/:/bin/false\n"
        )
        self.put("etc/group", f"root:x:0:\nepcache:x:{SYSTEM_USER}:\n")
        os.makedirs(self.at("var/cache/epcache"))
        if os.geteuid() == 0:
            os.chown(self.at("var/cache/epcache"), SYSTEM_USER, SYSTEM_USER)
        # The trigger sees SITE as a path below the root, a reader as an absolute path.
        self.system_cache = self.at("view")
        os.makedirs(self.system_cache + os.path.dirname(self.root))
        os.symlink(self.at("var/cache/epcache"), self.system_cache + self.root)
        self.user_cache = self.at("home/.cache")
        os.makedirs(self.user_cache)

    def at(self, path):
        return os.path.join(self.root, path)

    def put(self, path, text):
        edits.put(self.at(path), text)

    def site(self, name):
        return self.at(f"s/{name}")

    def spelled(self, entry):
        return entry.replace("{root}", self.root)

    def edit(self, step):
        """The generator of a step that edits a site directory."""
        how = step["how"]
        function = getattr(edits, how, None) or getattr(meddling, how)
        known = {"do", "how", "site", "pauses", "refreshed", "killed"}
        what = {name: value for name, value in step.items() if name not in known}
        return function(self.site(step["site"]), cache=self.at("uv"), **what)

    def move(self, step):
        old, new = step["site"], step["to"]
        os.rename(self.site(old), self.site(new))
        self.sites[new] = self.sites.pop(old)
        self.indexed[new] = self.indexed.pop(old)

    def zip(self, step):
        path = self.at(step["name"])
        with zipfile.ZipFile(path + ".tmp", "w") as archive:
            top = "EGG-INFO" if step["name"].endswith(".egg") else None
            for distribution in step["distributions"]:
                for name, text in distribution["files"].items():
                    inside = "/".join(filter(None, [top or distribution["directory"], name]))
                    if inside not in archive.namelist():
                        archive.writestr(inside.encode("utf-8", "replace").decode(), edits.encoded(text))
        os.replace(path + ".tmp", path)

    def egg(self, step):
        path = self.at(step["name"])
        edits.remove(path)
        for name, text in step["files"].items():
            if name:
                edits.put(os.path.join(path, step["inside"], name), text)

    def index(self, step):
        """Make an index of a site directory, or remove it."""
        name = step["site"]
        site = self.site(name)
        how = step["by"]
        if how == "trigger" and os.geteuid() != 0:
            how = "writer"  # only root may run it
        getattr(self, f"by_{how}")(name, site)
        self.indexed[name].add(self.stamp(name))

    def stamp(self, name):
        found = os.stat(self.site(name))
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size

    def provable(self, name):
        """Whether one stat may prove an index of it to a reader."""
        return self.stamp(name) in self.indexed[name]

    def run(self, *arguments, **variables):
        command = [self.epcache, *arguments]
        environment = {"PATH": os.defpath, "HOME": self.at("home"), **variables}
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=60
        )
        if done.returncode and NOT_A_SITE not in done.stderr:
            raise RuntimeError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def by_refresh(self, _name, site):
        self.run("refresh", site)

    def by_contents(self, _name, site):
        self.run("refresh", "--seal", site, SOURCE_DATE_EPOCH="1")

    def by_trigger(self, _name, _site):
        listed = ", ".join(f'"/s/{name}"' for name, kept in self.sites.items() if kept == "system")
        self.put("usr/lib/epcache/config.toml", f"site-directories = [{listed}]\n")
        done = self.run("trigger", "dpkg", DPKG_ROOT=self.root)
        # Its exit status is always 0; it warns of malformed distributions.
        if any(
            not line.startswith("epcache: warning: ")
            for line in done.stderr.splitlines()
            if line.startswith("epcache:")
        ):
            raise RuntimeError(f"the trigger printed: {done.stderr}")
        for name, kept in self.sites.items():
            # Another step may be replacing the directory.
            if kept == "system" and os.path.isdir(self.site(name)):
                self.indexed[name].add(self.stamp(name))

    def by_writer(self, _name, site):
        index_writer.write(site)

    def by_user(self, _name, site):
        # As the tool records another user's directory: every row has to be checked.
        rows, _ = index_writer.rows_of(site)
        path = f"{self.user_cache}/epcache{site}/index"
        index_writer.write(site, path, unsettled=range(len(rows)))

    def by_forgotten(self, _name, site):
        for path in [f"{site}/.epcache", f"{self.user_cache}/epcache{site}", f"{self.system_cache}{site}"]:
            if os.path.isdir(path):
                shutil.rmtree(path)
