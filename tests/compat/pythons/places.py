"""A site directory and those who read it: indexing it, and asking what is in it."""

import json
import os
import pathlib
import subprocess
import time

from support.checkout import READER, debug_program
from support.environments import CACHE, uv
from support.interpreters import run

ANSWERS = pathlib.Path(__file__).with_name("answers.py")


def variables(**more):
    """The environment variables, without those that concern Python, environments or epcache."""
    others = ("EPCACHE", "PYTHON", "PIP_", "VIRTUAL_ENV", "CONDA")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}


def environment(python, directory):
    """Make an environment with the newest pip; returns its interpreter and its site directory."""
    run(python, "-m", "venv", "--without-pip", directory, env=variables())
    python = directory / "bin/python"
    # Copied, since hard links into uv's cache change their ctime with every other environment.
    cached = variables(UV_CACHE_DIR=str(CACHE / "uv"), UV_LINK_MODE="copy")
    run(uv(), "pip", "install", "--quiet", "--python", python, "pip", env=cached)
    (site,) = directory.glob("lib/py*/site-packages")
    return python, site


class Place:
    """A site directory, and the interpreters that read it with the environment variables `more`.

    Plain and accelerated answers come from `plain` and `accelerated`: a script, its arguments, and variables.
    """

    plain = [ANSWERS, "plain"], {}
    accelerated = [ANSWERS, "accelerated", READER], {}

    def __init__(self, site, pythons, **more):
        self.site = site
        self.pythons = pythons
        self.variables = variables(**more)

    def refresh(self):
        """Refresh the index until it is settled."""
        end = time.monotonic() + 10
        status = ["status", "--json", self.site]
        run(debug_program(), "refresh", self.site, env=self.variables)
        while subprocess.run(
            [debug_program(), *status], stdout=subprocess.PIPE, env=self.variables
        ).returncode:
            assert time.monotonic() < end
            time.sleep(0.2)
            run(debug_program(), "refresh", self.site, env=self.variables)

    def _ask(self, python, way):
        arguments, more = way
        return json.loads(run(python, "-s", *arguments, env={**self.variables, **more}))

    def assert_right(self, from_index=False):
        """Check that accelerated answers are those of the same interpreter's importlib.metadata.

        With `from_index`, none may need a metadata file of the site directory. Returns the name and version of
        each distribution in it.
        """
        for python in self.pythons:
            plain, accelerated = self._ask(python, self.plain), self._ask(python, self.accelerated)
            assert accelerated["answers"] == plain["answers"], python
            assert [path for path in plain["read"] if self.has(path)] != [] or not list(
                self.site.glob("*-info")
            )
            if from_index:
                assert [path for path in accelerated["read"] if self.has(path)] == [], python
        rows = plain["answers"]["distributions"]
        return {(name, version) for name, version, path, _ in rows if path.rstrip("/") == str(self.site)}

    def has(self, path):
        return path.startswith(f"{self.site}/")
