"""Environments with real programs, made once for each interpreter and kept."""

import hashlib
import os
import pathlib
import shutil

from support.checkout import CHECKOUT
from support.interpreters import INTERPRETERS, READER, run

CACHE = CHECKOUT / ".cache/programs"
REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")

NAME_OF_METADATA = "epcache-0.dist-info"


def variables(scratch, **more):
    """The environment variables, without settings of the user for Python or epcache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EPCACHE", "PYTHON"))}
    kept.pop("VIRTUAL_ENV", None)
    # Where programs keep caches, including stevedore's cache of entry points.
    kept.update(HOME=str(scratch), XDG_CACHE_HOME=f"{scratch}/cache", XDG_CONFIG_HOME=f"{scratch}/config")
    # A new __pycache__ would change the site directory; the hash seed fixes the order of sets.
    kept.update(PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0", COLUMNS="120", PIP_NO_INPUT="1")
    return {**kept, **more}


class Environment:
    """The virtual environment for one interpreter, with the reader installed but not enabled."""

    def __init__(self, version, directory=None):
        self.version = version
        self.directory = directory or CACHE / version
        if directory is None:
            self._make()
        self.bin = self.directory / "bin"
        (self.site,) = self.directory.glob("lib/python3.*/site-packages")
        self.reset()

    def _make(self):
        python = INTERPRETERS[self.version]
        release = run(python, "-c", "import sys; print(sys.version)")
        wanted = hashlib.sha256((release + REQUIREMENTS.read_text()).encode()).hexdigest()
        mark = self.directory / "complete"
        if mark.exists() and mark.read_text() == wanted:
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        run(python, "-m", "venv", self.directory)
        pip = [self.directory / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        # Without byte code, each start would compile.
        clean = variables(self.directory)
        del clean["PYTHONDONTWRITEBYTECODE"]
        run(*pip, "install", "--requirement", REQUIREMENTS, env=clean, timeout=600)
        mark.write_text(wanted)

    def reset(self):
        """Remove everything of an earlier run, and install the current reader."""
        for left in ("epcache", "epcache_startup", ".epcache", "epcache.pth", NAME_OF_METADATA):
            path = self.site / left
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self.uninstall("latecomer")
        without_byte_code = shutil.ignore_patterns("__pycache__")
        for package in ("epcache", "epcache_startup"):
            shutil.copytree(READER / package, self.site / package, ignore=without_byte_code)
            run(self.bin / "python", "-m", "compileall", "-q", self.site / package)
        (self.site / NAME_OF_METADATA).mkdir()
        metadata = "Metadata-Version: 2.1\nName: epcache\nVersion: 0\n"
        (self.site / NAME_OF_METADATA / "METADATA").write_text(metadata)
        (self.site / NAME_OF_METADATA / "INSTALLER").write_text("test\n")
        (self.site / NAME_OF_METADATA / "RECORD").write_text("epcache/__init__.py,,\n")

    def install(self, wheel):
        """Install a wheel with pip."""
        self._pip("install", "--no-index", "--no-deps", "--no-compile", wheel)

    def uninstall(self, name):
        """Uninstall a distribution, if it is installed."""
        if list(self.site.glob(f"{name}-*.dist-info")):
            self._pip("uninstall", "--yes", name)

    def _pip(self, *arguments):
        clean = variables(self.directory)
        run(self.bin / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments, env=clean)
