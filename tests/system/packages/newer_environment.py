"""A virtual environment of Python 3.14 or 3.15 in a chroot, with the package `epcache` in it."""

import shutil

from . import chroot

# Compares a start with the finder and one without: medians of the processor time.
COST = """
import os, statistics, sys

def start(python):
    process = os.posix_spawn(python, [python, "-I", "-c", "pass"], {})
    _, status, usage = os.wait4(process, 0)
    assert status == 0
    return usage.ru_utime + usage.ru_stime

taken = {python: [] for python in sys.argv[2:]}
for _ in range(int(sys.argv[1])):
    for python, seconds in taken.items():
        seconds.append(start(python))
plain, enabled = map(statistics.median, taken.values())
print((enabled - plain) * 1000)
"""


class Environment:
    def __init__(self, system, version):
        self.system = system
        self.version = version
        self.directory = f"/srv/{version}"
        system.run("rm", "-rf", self.directory)
        system.run("cp", "-a", f"/srv/made-{version}", self.directory)
        # As if everything had been installed now; the index of a copy takes a minute to settle.
        system.run("find", self.directory, "-name", "INSTALLER", "-exec", "touch", "{}", "+")
        self.python = f"{self.directory}/bin/python"
        self.site = f"{self.directory}/lib/python{version}/site-packages"

    @staticmethod
    def make(system, version):
        """The common content of `Environment`s: pip, the package with its program, another distribution."""
        directory = f"/srv/made-{version}"
        system.run(f"python{version}", "-m", "venv", directory)
        site = system.path(f"{directory}/lib/python{version}/site-packages")
        ignored = shutil.ignore_patterns("__pycache__")
        for package in ("epcache", "epcache_startup"):
            shutil.copytree(chroot.CHECKOUT / "python" / package, site / package, ignore=ignored)
        system.run("ln", "-s", "/usr/bin/epcache", f"{directory}/bin/epcache")
        info = site / "foo-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foo\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[g]\nfoo = m:f\n")
        (info / "INSTALLER").write_text("test\n")
        (info / "RECORD").write_text("foo-1.dist-info/RECORD,,\n")
        # The first .pth file makes an interpreter slower, whatever its content.
        (site / "other.pth").write_text("# nothing\n")
        system.run(
            f"python{version}", "-m", "compileall", "-q", f"{directory}/lib/python{version}/site-packages"
        )

    def epcache(self, *arguments):
        return self.system.run("/usr/bin/epcache", *arguments).stdout

    def enable(self, *chosen):
        self.epcache("enable", "--venv", self.directory, *(chosen or ("--accelerate", "--pip-hook")))

    def disable(self):
        self.epcache("disable", "--venv", self.directory)

    def starts(self, code, *options):
        """The output of a program, which must print nothing on standard error."""
        done = self.system.run(self.python, *options, "-c", code, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.strip()

    def opened(self, code, *options):
        """The system calls of a program that name a file, and its output."""
        trace = self.system.path("/srv/trace")
        command = ["strace", "-f", "-qq", "-o", "/srv/trace", "-e", "trace=%file"]
        done = self.system.run(*command, self.python, *options, "-c", code)
        assert done.stderr == "", done.stderr
        # An empty path means that the call is about a descriptor.
        lines = [line for line in trace.read_text().splitlines() if "AT_EMPTY_PATH" not in line]
        return lines, done.stdout.strip()

    def uninstall(self):
        """Uninstall by pip, which does not know the file that `epcache enable` has written."""
        for package in ("epcache", "epcache_startup"):
            shutil.rmtree(self.system.path(f"{self.site}/{package}"))

    def content(self):
        """Every file and link below the site directory, except those of the index."""
        root = self.system.path(self.site)
        found = {}
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root)
            if name.parts[0] != ".epcache":
                found[str(name)] = path.lstat().st_mode, path.read_bytes() if path.is_file() else None
        return found
