"""A Debian system managed by rpm: its own database, our packages, and payloads.

rpm works on the chroot's own `/`, with a new database. A package without files, `ground`, provides what our
packages require, by what the system really has.
"""

import contextlib
import json
import shutil
import uuid
from dataclasses import dataclass

from support import index_reader, readers
from support.private_mounts import mounted

from . import chroot, rpm_build, rpm_payload, trace

CACHE = "/var/cache/epcache"
EPCACHE = "/usr/bin/epcache"
PYTHON = "3.13"
SITE = f"/usr/lib/python{PYTHON}/site-packages"
SITE64 = f"/usr/lib64/python{PYTHON}/site-packages"
PACKAGES = ["busybox-static", "passwd", "python3", "rpm", "strace"]
# The last two lines are for pacman_machine.py and test_ostree.py, so that one tree serves all.
ONLY_SID = ["createrepo-c", "dnf5", "zypper"]
ONLY_SID += ["fakeroot", "libarchive-tools", "make", "makepkg", "pacman-package-manager"]
ONLY_SID += ["systemd-standalone-sysusers", "systemd-standalone-tmpfiles"]

# A trigger inherits the environment of rpm's caller: it must ignore all of it.
HOSTILE = {
    "EPCACHE": "off",
    "DPKG_ROOT": "/nonexistent",
    "HOME": "/root",
    "LANG": "tlh_KX.KOI8-R",
    "PATH": "/hostile:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONHOME": "/nonexistent",
    "PYTHONPATH": "/hostile",
    "XDG_CACHE_HOME": "/hostile/cache",
}

BY_IMPORTLIB = """
import importlib.metadata, json, sys
found = []
for distribution in importlib.metadata.distributions(path=sys.argv[1:]):
    metadata = distribution.metadata or {}
    points = [[e.group, e.name, e.value] for e in distribution.entry_points]
    found.append([distribution._path.name, metadata.get("Name"), metadata.get("Version"), points])
json.dump(found, sys.stdout)
"""

# Any warning of the reader is an error here. `searched` means that it looked for entry points in distributions
# that have none, as it must where no index says where to look.
READER = """
import json, os, sys
modules, site = sys.argv[1:]
sys.path.insert(0, modules)
import epcache
sys.path[:] = [entry for entry in sys.path[1:] if not entry.endswith("-packages")] + [site]
opened = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        opened.append(arguments[0] if isinstance(arguments[0], str) else arguments[0].decode("utf-8", "replace"))
sys.addaudithook(watch)
answer = [[e.group, e.name, e.value] for e in epcache.entry_points()]
opened = [path for path in opened if path.startswith(site + "/") and "-info" in path]
searched = any(os.path.basename(path) != "entry_points.txt" or not os.path.exists(path) for path in opened)
json.dump({"answer": answer, "searched": searched}, sys.stdout)
"""


@dataclass
class Transaction:
    """The effects of one call of a package manager."""

    status: int
    output: str
    runs: list  # trace.Run of every epcache that it started

    def read(self, site):
        """The directory names of the distributions below `site` of which a file was opened."""
        return {path.split("/")[0] for run in self.runs for path in run.opened(site)}

    def replaced(self, site):
        """Whether a trigger put a new index of `site` in place."""
        index = f"{CACHE}{site}/index"
        return any(run.argv[1:] == ["trigger", "rpm"] and run.replaced(index) for run in self.runs)


class Machine:
    def __init__(self, system):
        self.system = system
        hostile = system.path("/hostile/epcache")
        hostile.parent.mkdir()
        hostile.write_text("#!/bin/sh\n: >/hostile/was-run\n")
        hostile.chmod(0o755)

    def transact(self, *command, mounts=(), env=HOSTILE):
        """Run a package manager, traced; the caller checks the exit status."""
        place = f"/trace/{uuid.uuid4().hex}"
        result = self.system.run(*trace.command(place), *command, mounts=mounts, env=env, check=False)
        runs = trace.runs(self.system.path(place), EPCACHE, str(self.system.root))
        shutil.rmtree(self.system.path(place))
        return Transaction(result.returncode, result.stdout + result.stderr, runs)

    def rpm(self, *arguments, **options):
        return self.transact("rpm", *arguments, **options)

    def ground(self):
        """The package that represents the Debian system below."""
        programs = ["/bin/sh", "/usr/bin/find", "/usr/bin/setpriv", "/usr/bin/getent"]
        programs += ["/usr/sbin/groupadd", "/usr/sbin/useradd"]
        missing = [program for program in programs if not self.system.path(program).exists()]
        assert not missing, f"not in the chroot: {missing}"
        libraries = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"]
        files = "".join(f"/usr/lib/x86_64-linux-gnu/{name}\n" for name in libraries)
        symbols = self.system.run("/usr/lib/rpm/elfdeps", "--provides", input=files).stdout.split("\n")
        # zypper changes no system without glibc.
        provides = [*programs, *filter(None, symbols), "rtld(GNU_HASH)", "glibc"]
        provides += [f"python(abi) = {version}" for version in ("3.11", "3.13")]
        return rpm_payload.Payload("ground", provides=tuple(dict.fromkeys(provides)))

    def clear(self):
        """Erase every package except `ground`, and the files that erasing keeps on purpose."""
        installed = set(self.system.run("rpm", "-qa", "--qf", "%{NAME}\\n").stdout.split()) - {"ground"}
        if installed:
            self.system.run("rpm", "-e", "--allmatches", *installed)
        for site in (SITE, SITE64):
            shutil.rmtree(self.system.path(site), ignore_errors=True)
        self.remove_user()

    def remove_user(self):
        for name in ("passwd", "group", "shadow", "gshadow"):
            file = self.system.path(f"/etc/{name}")
            lines = file.read_text().splitlines(True)
            file.write_text("".join(line for line in lines if not line.startswith("epcache:")))

    def by_importlib(self, site, root=""):
        """The results of the system's importlib.metadata: (directory, Name, Version, entry points)."""
        result = self.system.run("python3", "-c", BY_IMPORTLIB, root + site)
        return json.loads(result.stdout)

    def reader(self, site, strict=True):
        """The answers of the installed Python reader, and whether it had to search the disk."""
        modules = next(self.system.root.glob("usr/lib/python3*/site-packages/epcache")).parent
        warnings = ["-W", "error"] if strict else ["-W", "ignore"]
        where = "/" + str(modules.relative_to(self.system.root))
        result = self.system.run("python3", "-I", *warnings, "-c", READER, where, site)
        return json.loads(result.stdout)

    def listed(self, site):
        result = self.system.run(EPCACHE, "list", "--site", site, "--json")
        return json.loads(result.stdout)

    def account(self):
        """The user and group numbers of `epcache` in the chroot."""
        for line in self.system.path("/etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == "epcache":
                return int(uid), int(gid)
        raise AssertionError("the user epcache was not made")

    def index(self, site):
        return self.system.path(f"{CACHE}{site}/index")

    def check_beside(self, work, delay):
        """Check the answers of readers beside `work`; see support/readers.py."""

        def run(*command):
            return self.system.run(*command).stdout

        index = f"{CACHE}{SITE}/index"
        readers.check_beside(
            work, run, ["python3", "-I"], SITE, index, self.system.path("/srv"), "/srv", delay
        )

    def assert_answers_right(self, site):
        """Check that all answers are right, with or without an index."""
        by_importlib = self.assert_reader_right(site)
        assert sorted([e["group"], e["name"], e["value"]] for e in self.listed(site)) == by_importlib

    def assert_reader_right(self, site):
        """The part of it that does not need the program. Returns the answers of importlib.metadata."""
        by_importlib = sorted(
            [group, name, value] for *_, points in self.by_importlib(site) for group, name, value in points
        )
        assert sorted(self.reader(site, strict=False)["answer"]) == by_importlib
        return by_importlib

    def assert_right(self, *sites):
        """Check that the index of each site directory exists, is fresh, right, and the cache user's."""
        owner = self.account()
        for site in sites:
            place = self.index(site)
            assert place.is_file(), f"{site}: no index"
            index = index_reader.parse(place.read_bytes())
            assert index.settled and not index.unsettled, f"{site}: not settled"
            assert described(index) == expected(self.by_importlib(site))
            while place != self.system.path(CACHE).parent:
                found = place.lstat()
                assert (found.st_uid, found.st_gid) == owner, f"{place}: belongs to {found.st_uid}"
                assert not found.st_mode & 0o022, f"{place}: others can write"
                place = place.parent
            self.assert_answers_right(site)
            assert not self.reader(site)["searched"], f"{site}: the reader did not use the index"
        states = json.loads(self.system.run(EPCACHE, "status", "--json", check=False).stdout)
        assert {s["site"]: s["state"] for s in states if s["site"] in sites} == dict.fromkeys(sites, "fresh")
        assert not self.system.path("/hostile/was-run").exists()
        assert not self.system.path("/hostile/cache").exists()


def described(index):
    """The distributions in an index: (directory, Name, Version, entry points)."""
    return sorted(
        (
            (row.directory, row.name, row.version, sorted(row.entry_points))
            for row in index.distributions.values()
        ),
        key=repr,
    )


def expected(by_importlib):
    """The same from the results of importlib.metadata."""
    return sorted(((*found[:3], sorted(found[3])) for found in by_importlib), key=repr)


@contextlib.contextmanager
def running(suite, payloads):
    """A machine of `suite` with `ground` installed, our packages below /ours and those
    of `payloads` below /payloads; nothing of ours is installed yet."""
    packages = rpm_build.packages("bookworm" if suite == "bookworm" else "trixie")
    include = PACKAGES + (ONLY_SID if suite == "sid" else [])
    # rpm's plugin `unshare` gives scripts a file system of their own; `/` has to be a mount for that.
    with chroot.unpacked(suite, include, update=False) as system, mounted("--bind", system.root, system.root):
        machine = Machine(system)
        shutil.copytree(packages, system.path("/ours"))
        ground = machine.ground()
        where = rpm_payload.build(system, [ground, *payloads])
        system.run("rpm", "-U", where / ground.filename)
        yield machine
