"""A site directory and those who read it: indexing it, and asking what is in it."""

import json
import os
import subprocess
import time

from support import wheels
from support.checkout import READER, TESTS, debug_program
from support.environments import CACHE, uv
from support.interpreters import run

# What `play` does, by the names in docs/coverage.md.
STEPS = ("install", "upgrade", "same version", "removal")
ANSWERS = TESTS / "support/installation.py"


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
        run(debug_program(), "refresh", self.site, env=self.variables)
        while not self.is_fresh():
            assert time.monotonic() < end
            time.sleep(0.2)
            run(debug_program(), "refresh", self.site, env=self.variables)

    def is_fresh(self):
        command = [debug_program(), "status", self.site]
        return subprocess.run(command, stdout=subprocess.DEVNULL, env=self.variables).returncode == 0

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
        rows = [row for row in plain["answers"]["distributions"] if row[2].rstrip("/") == str(self.site)]
        self.assert_listed(rows)
        return {(name, version) for name, version, *_ in rows}

    def assert_listed(self, rows):
        """Check that `epcache list` has the entry points of these distributions, of each name those of the first."""
        first = {key: points for *_, points, key in reversed(rows)}
        listed = json.loads(run(debug_program(), "list", "--site", self.site, "--json", env=self.variables))
        found = sorted([point["group"], point["name"], point["value"]] for point in listed)
        assert found == sorted(point for points in first.values() for point in points)

    def has(self, path):
        return path.startswith(f"{self.site}/")


def play(place, directory, install, remove, is_refreshed=False):
    """A history of the distribution probe: `install(wheel)` replaces what is there, `remove()` removes it.

    After each step the answers are compared with the index that the step has made stale, and with a new one; or once,
    if the step refreshes the index.
    """
    first, second, again = versions(directory)
    for step, version in [
        (lambda: install(first), "1.0"),
        (lambda: install(second), "2.0"),
        (lambda: install(again), "2.0"),
        (remove, None),
    ]:
        step()
        found = place.assert_right(from_index=is_refreshed)
        assert ("probe", version) in found if version else "probe" not in dict(found)
        if is_refreshed:
            assert place.is_fresh()
        else:
            place.refresh()
            assert place.assert_right(from_index=True) == found


def versions(directory):
    """Two versions of a distribution, and another build of the second one, with other entry points and modules."""
    entry_points = "probe-2.0.dist-info/entry_points.txt"
    again = directory / "again"
    again.mkdir(parents=True)
    return [
        wheels.make(directory, "probe", "1.0"),
        wheels.make(directory, "probe", "2.0"),
        wheels.make(
            again, "probe", "2.0", **{entry_points: "[rebuilt]\nprobe = probe:run\n", "probe_more.py": ""}
        ),
    ]
