"""Two equal environments, one of them with the hook: pip must behave the same in both."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

from support import wheel_build
from support.environments import CACHE, uv
from support.interpreters import INTERPRETERS, run
from support.locking import locked

# Interpreter and version of pip. 9.0 is the oldest that installs anything on 3.9 (8.1 uses
# `platform.linux_distribution`, which was removed in 3.8).
PIPS = {"oldest-3.9": ("3.9", "9.0.0"), "newest-3.9": ("3.9", None), "newest-3.13": ("3.13", None)}
SAMPLE = ["oldest-3.9", "newest-3.13"]

# The directory of the environments that are copied for each test; the workers of a run share it.
templates = None

# Prints the entry points in the given directories, or on sys.path: by the reader, which must not warn, or
# by importlib.metadata.
READ = """
import json, re, sys, warnings
warnings.simplefilter(sys.argv[2])
sys.path[:] = sys.argv[3:] + sys.path
if sys.argv[1] == "epcache":
    import epcache
    found = [(ep, ep.dist.version) for ep in epcache.entry_points()]
else:
    import importlib.metadata
    found, seen = [], set()
    for dist in importlib.metadata.distributions():
        name = re.sub("[-_.]+", "_", dist.metadata["Name"]).lower()
        if name not in seen:
            seen.add(name)
            found += [(ep, dist.version) for ep in dist.entry_points]
print(json.dumps(sorted([ep.group, ep.name, ep.value, version] for ep, version in found)))
"""


def variables(directory, **more):
    """The environment variables, without settings of the user for Python or epcache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EPCACHE", "PYTHON"))}
    kept.pop("VIRTUAL_ENV", None)
    kept["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    # A shared cache would give one pip the downloads of the other.
    kept["PIP_CACHE_DIR"] = kept["XDG_CACHE_HOME"] = f"{directory}/cache"
    # A new __pycache__ would change the site directory.
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    # pip breaks long lines, even within the path that is replaced below.
    kept["COLUMNS"] = "1000"
    # An old pip iterates over sets.
    kept["PYTHONHASHSEED"] = "0"
    return {**kept, **more}


def _template(python, pip):
    """An environment with a pip, the program and the reader, made once for each interpreter and pip."""
    place = templates / re.sub(r"\W+", "-", f"{python} {pip}")
    directory = place / "environment"
    with locked(place / "lock"):
        if not (place / "complete").exists():
            run(python, "-m", "venv", "--without-pip", directory)
            # Copied from uv's cache, not linked to it: a test may write to these files.
            cached = variables(directory, UV_CACHE_DIR=str(CACHE / "uv"), UV_LINK_MODE="copy")
            options = ["--quiet", "--python", directory / "bin/python"]
            pip = "pip" if pip is None else f"pip=={pip}"
            run(uv(), "pip", "install", *options, pip, wheel_build.wheel(), env=cached)
            (site,) = directory.glob("lib/python3.*/site-packages")
            # Otherwise each start of pip would compile it. What can't be compiled (a file of pip 9) stays as it is.
            compile_all = "import compileall, sys; compileall.compile_dir(sys.argv[1], quiet=2)"
            run(directory / "bin/python", "-c", compile_all, site / "pip")
            (place / "complete").touch()
    return directory


def _copy(template, directory):
    """Copy an environment; its scripts and settings name the new place."""
    shutil.copytree(template, directory, symlinks=True)
    for path in [directory / "pyvenv.cfg", *(directory / "bin").iterdir()]:
        if not path.is_symlink() and bytes(template) in (content := path.read_bytes()):
            path.write_bytes(content.replace(bytes(template), bytes(directory)))


class Environment:
    """A virtual environment with a pip, the program and the reader."""

    def __init__(self, directory, python, pip):
        self.directory = directory
        self.python = directory / "bin/python"
        self.program = directory / "bin/epcache"
        self.variables = variables(directory)
        _copy(_template(python, pip), directory)
        (self.site,) = directory.glob("lib/python3.*/site-packages")
        # A copy, as a test may remove the original.
        self.tool = shutil.copy(self.program, directory / "tool")

    def start(self, *command, **options):
        """Start a process in the environment, its output captured."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # The tests may run in the background with Ctrl-C ignored, which processes inherit.
        interruptible = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        options = {"cwd": self.directory, "env": self.variables, **pipes, **interruptible, **options}
        return subprocess.Popen(list(map(str, command)), **options)

    def finished(self, process):
        """Status and output of a process, without parts specific to this run or environment."""
        output = [self._plain(text.decode()) for text in process.communicate(timeout=120)]
        return process.returncode, *output

    def call(self, *command, **options):
        """Status and output of a command."""
        return self.finished(self.start(*command, **options))

    def _plain(self, text):
        text = text.replace(str(self.directory), "ENVIRONMENT")
        text = re.sub(r"/pip-([a-z-]+)-\w{8}", r"/pip-\1-RANDOM", text)
        text = re.sub(r"sha256=[0-9a-f]{64}", "sha256=DIGEST", text)
        # Progress lines of a download differ in number.
        text = re.sub(r"[\r\n] *\d+% \|[^\r\n]*", "", text)
        text = re.sub(r"\b[0-9.]+ ?[kM]B/s|\b\d+(\.\d+)?m?s\b|\d:\d\d:\d\d", "SPEED", text)
        return re.sub(r"size=\d+", "size=SIZE", text)

    def state(self, site=None):
        """The state of the index that the program reports."""
        done = subprocess.run(
            [self.tool, "status", "--json", site or self.site],
            stdout=subprocess.PIPE,
            env=self.variables,
        )
        (status,) = json.loads(done.stdout)
        return status["state"]

    def installed(self, by, *sites, warnings="error"):
        """The entry points of all installed distributions, by the reader or by importlib.metadata."""
        answer = run(self.python, "-IB", "-c", READ, by, warnings, *sites, env=self.variables)
        return json.loads(answer)

    def assert_right(self, *sites, warnings="ignore"):
        """Check that the reader returns the installed entry points."""
        expected = self.installed("importlib.metadata", *sites)
        assert self.installed("epcache", *sites, warnings=warnings) == expected

    def assert_fresh(self, *sites):
        """Check that the index becomes fresh, now or soon, and that the reader uses it."""
        end = time.monotonic() + 5
        for site in sites or [self.site]:
            while (state := self.state(site)) not in ("fresh", "unsettled"):
                assert time.monotonic() < end, state
                time.sleep(0.02)
        self.assert_right(*sites, warnings="error")


class Twins:
    """Both environments; `wheels` is a directory."""

    def __init__(self, directory, version, pip, python=None):
        python = python or INTERPRETERS[version]
        self.wheels = directory / "wheels"
        self.wheels.mkdir()
        self.hooked = Environment(directory / "hooked", python, pip)
        self.normal = Environment(directory / "normal", python, pip)
        for environment in (self.hooked, self.normal):
            run(environment.program, "refresh", environment.site, env=environment.variables)
        run(self.hooked.program, "enable", "--pip-hook", self.hooked.site, env=self.hooked.variables)

    def __iter__(self):
        return iter((self.hooked, self.normal))

    def call(self, command, **options):
        """Run the command that a function makes for an environment in both; the common status and output."""
        hooked, normal = [environment.call(*command(environment), **options) for environment in self]
        assert hooked == normal
        return hooked

    def pip(self, *arguments, **options):
        """Run pip as a module in both."""
        return self.call(lambda environment: [environment.python, "-m", "pip", *arguments], **options)

    def install(self, *arguments, **options):
        """Run `pip install` without an index in both; it must succeed."""
        status, output, complaint = self.pip("install", "--no-index", *arguments, **options)
        assert status == 0, complaint
        return output

    def assert_refreshed(self):
        """Check that the hook has refreshed the index, and that the index without the hook is stale."""
        self.hooked.assert_fresh()
        assert self.normal.state() == "stale"
        hooked, normal = [environment.installed("importlib.metadata") for environment in self]
        assert hooked == normal
