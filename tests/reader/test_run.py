"""``epcache run`` with real installers: afterwards every reader is right and the index is up to date."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from support.environments import CACHE, uv
from support.interpreters import INTERPRETERS, ask, expected, run

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(directory, name, version):
    """A wheel with one entry point, which has no dependencies."""
    path = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": METADATA.format(name=name, version=version),
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": f"[g]\n{name} = {name}:v{version}\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        record = "".join(f"{member},,\n" for member in [*members, f"{info}/RECORD"])
        archive.writestr(f"{info}/RECORD", record)
    return path


class Project:
    """A directory in which `epcache run -- COMMAND` is executed."""

    def __init__(self, directory, epcache):
        self.directory = directory
        self.epcache = epcache
        # The environment must be found by the project alone.
        unwanted = ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT")
        self.variables = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.variables.update(UV_CACHE_DIR=str(CACHE / "uv"), HOME=str(directory))

    def run(self, *command):
        command = [str(self.epcache.binary), "run", "--", *map(str, command)]
        return subprocess.run(
            command,
            check=False,
            cwd=self.directory,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def does(self, *command):
        done = self.run(*command)
        assert done.returncode == 0, done
        assert "epcache" not in done.stdout + done.stderr, done
        return done

    def state(self):
        (site,) = self.directory.glob(".venv/lib/python3.*/site-packages")
        command = [str(self.epcache.binary), "status", "--json", str(site)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        (status,) = json.loads(done.stdout)
        # The lists of these wheels have no hashes, but their installer has ended.
        assert status["state"] == "fresh", status
        for python in (INTERPRETERS["3.9"], INTERPRETERS["3.13"]):
            query = [{"group": "g"}]
            answer = ask(python, [site], query)
            assert answer["answers"] == expected(python, [site], query)
            assert answer["warnings"] == []
        points = answer["answers"][0]
        return sorted(value for _, value, *_ in points)


@pytest.fixture
def project(tmp_path, epcache):
    return Project(tmp_path, epcache)


def test_uv_creates_fills_and_empties_an_environment(project, tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    old, new, other = wheel(wheels, "foo", "1"), wheel(wheels, "foo", "2"), wheel(wheels, "bar", "1")
    install = (uv(), "pip", "install", "--offline", "--no-index")
    project.does(uv(), "venv", "--quiet", "--offline", "--python", INTERPRETERS["3.12"], ".venv")
    assert project.state() == []
    project.does(*install, old)
    assert project.state() == ["foo:v1"]
    project.does(*install, new, other)
    assert project.state() == ["bar:v1", "foo:v2"]
    project.does(uv(), "pip", "uninstall", "foo")
    assert project.state() == ["bar:v1"]
    done = project.run(*install, "not-to-be-found")
    assert done.returncode == 1 and "not-to-be-found" in done.stderr, done
    assert project.state() == ["bar:v1"]


def test_the_index_is_right_after_pip(project, tmp_path):
    made = wheel(tmp_path, "foo", "1")
    project.does(sys.executable, "-m", "venv", ".venv")
    project.does(".venv/bin/pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", made)
    assert project.state() == ["foo:v1"]
    assert run(project.epcache.binary, "status", "--venv", tmp_path / ".venv").count("fresh") == 1
    shutil.rmtree(tmp_path / ".venv")
    project.does("true")
