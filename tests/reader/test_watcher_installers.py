"""Real pip and uv change an environment while a process of another Python version watches it."""

import importlib.metadata
import os

import pytest
from support.environments import CACHE, uv
from support.interpreters import INTERPRETERS, run

from .watching import watched


class Environment:
    """A virtual environment and the two installers, without pip's cache."""

    def __init__(self, directory, python):
        self.directory = directory
        self.variables = {
            **os.environ,
            "UV_CACHE_DIR": str(CACHE / "uv"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        run(uv(), "venv", "--quiet", "--seed", "--python", python, directory, env=self.variables)
        (self.site,) = directory.glob("lib/python3.*/site-packages")

    def pip(self, *arguments):
        python = self.directory / "bin" / "python"
        run(python, "-m", "pip", "--quiet", *arguments, env=self.variables, timeout=300)

    def uv(self, command, *arguments):
        python = self.directory / "bin" / "python"
        run(uv(), "--quiet", "pip", command, "--python", python, *arguments, env=self.variables, timeout=300)

    def installed(self):
        found = importlib.metadata.distributions(path=[str(self.site)])
        return {one.metadata["Name"]: one.version for one in found}


def steps(environment):
    """The steps, each with its expected reports."""
    pip, uv_ = environment.pip, environment.uv
    yield lambda: pip("install", "idna==3.6"), [("added", "idna", None, "3.6")]
    yield lambda: pip("install", "--upgrade", "idna==3.7"), [("updated", "idna", "3.6", "3.7")]
    yield lambda: pip("install", "--force-reinstall", "idna==3.7"), [("updated", "idna", "3.7", "3.7")]
    yield lambda: pip("uninstall", "--yes", "idna"), [("removed", "idna", None, "3.7")]
    yield (
        lambda: uv_("install", "pluggy==1.4.0", "iniconfig==2.0.0"),
        [
            ("added", "iniconfig", None, "2.0.0"),
            ("added", "pluggy", None, "1.4.0"),
        ],
    )
    yield lambda: uv_("install", "pluggy==1.5.0"), [("updated", "pluggy", "1.4.0", "1.5.0")]
    yield lambda: uv_("install", "--reinstall", "pluggy==1.5.0"), [("updated", "pluggy", "1.5.0", "1.5.0")]
    yield lambda: pip("install", "pluggy==1.4.0"), [("updated", "pluggy", "1.5.0", "1.4.0")]
    yield (
        lambda: uv_("uninstall", "pluggy", "iniconfig"),
        [
            ("removed", "iniconfig", None, "2.0.0"),
            ("removed", "pluggy", None, "1.4.0"),
        ],
    )
    # A name that differs from its directory's, with a dependency.
    yield (
        lambda: uv_("install", "jaraco.context==5.3.0", "backports.tarfile==1.1.1"),
        [
            ("added", "backports.tarfile", None, "1.1.1"),
            ("added", "jaraco.context", None, "5.3.0"),
        ],
    )


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_every_step_of_pip_and_uv_is_reported_once(version, tmp_path):
    environment = Environment(tmp_path / "environment", INTERPRETERS["3.11"])
    with watched(INTERPRETERS[version], environment.site) as watching:
        expected = {}
        for step, events in steps(environment):
            step()
            for event in events:
                expected.setdefault(event[1], []).append(event)
            # So that no distribution is installed and removed between two polls.
            for event in events:
                watching.wait_for(event)
        watching.stop()
    assert {name: watching.events(name) for name in expected} == expected
    assert {event[1] for event in watching.events()} == expected.keys()
    assert {one["name"]: one["version"] for one in watching.installed} == environment.installed()
