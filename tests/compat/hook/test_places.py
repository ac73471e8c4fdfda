"""Other targets of pip: directories, other interpreters, the user directory, isolated builds."""

import textwrap

import pytest
from support import wheel_build, wheels
from support.checkout import TESTS
from support.interpreters import INTERPRETERS, run

from .twins import READ, Environment, variables

BACKEND = """
import sys
sys.path.insert(0, {tests!r})
import pathlib, tool_of_the_build
from support import wheels

def build_wheel(directory, settings=None, metadata=None):
    return wheels.make(pathlib.Path(directory), "built", "1.0").name
"""


@pytest.mark.parametrize(
    "option", ["--target place", "--target=place", "--targ place", "-t place", "-qUt place"]
)
def test_a_target_directory_is_indexed(newest, option):
    wheel = wheels.make(newest.wheels, "probe", "1.0")
    newest.install(wheel, *option.split())
    place = newest.hooked.directory / "place"
    newest.hooked.assert_fresh(place)
    assert ["probe", "probe", "probe:run", "1.0"] in newest.hooked.installed("epcache", place)
    assert not (newest.normal.directory / "place/.epcache").exists()
    # pip has not touched its own environment.
    assert newest.hooked.state() in ("fresh", "unsettled")


def test_a_target_directory_of_the_environments_variables_is_indexed(newest):
    wheel = wheels.make(newest.wheels, "probe", "1.0")
    for environment in newest:
        environment.variables["PIP_TARGET"] = "place"
    newest.install(wheel)
    newest.hooked.assert_fresh(newest.hooked.directory / "place")


def test_the_environment_that_pip_targets_is_indexed(newest, tmp_path):
    outer = Environment(tmp_path / "outer", INTERPRETERS["3.13"], None)
    wheel = wheels.make(newest.wheels, "probe", "1.0")
    status, _, complaint = newest.call(
        lambda environment: [
            *[outer.python, "-m", "pip", "--python", environment.python, "install", "--no-index", wheel]
        ]
    )
    assert status == 0, complaint
    newest.assert_refreshed()


def test_the_environment_of_a_pip_that_targets_another_is_left_alone(newest, tmp_path):
    other = Environment(tmp_path / "other", INTERPRETERS["3.13"], None)
    index = newest.hooked.site / ".epcache/index"
    before = index.stat(), newest.hooked.site.stat().st_ctime_ns
    for version in ("1.0", "2.0"):
        # The second call runs without the hook: it replaces the hook that the first one installed.
        wheel = wheels.make(newest.wheels, "probe", version)
        environment = newest.hooked if version == "1.0" else newest.normal
        command = [environment.python, "-m", "pip", "--python", other.python, "install", "--no-index", wheel]
        status, output, complaint = environment.call(*command)
        assert (status, complaint) == (0, "")
        assert f"Successfully installed probe-{version}" in output
    assert (index.stat(), newest.hooked.site.stat().st_ctime_ns) == before
    assert not (other.site / ".epcache").exists()


def test_an_isolated_build_is_unaffected(newest):
    wheels.make(newest.wheels, "tool_of_the_build", "1.0")
    project = newest.wheels / "project"
    project.mkdir()
    (project / "backend.py").write_text(BACKEND.format(tests=str(TESTS)))
    (project / "pyproject.toml").write_text(
        textwrap.dedent("""
        [build-system]
        requires = ["tool_of_the_build"]
        build-backend = "backend"
        backend-path = ["."]
        """)
    )
    newest.install("--find-links", newest.wheels, project)
    newest.assert_refreshed()
    assert ["probe", "built", "built:run", "1.0"] in newest.hooked.installed("epcache")


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_the_users_own_directory_is_indexed(version, tmp_path):
    python = INTERPRETERS[version]
    environment = variables(tmp_path, PYTHONUSERBASE=str(tmp_path / "base"))
    pip = [python, "-m", "pip", "install", "--user", "--no-index"]
    run(*pip, wheel_build.wheel(), env=environment)
    site = tmp_path / f"base/lib/python{version}/site-packages"
    program = tmp_path / "base/bin/epcache"
    run(program, "enable", "--pip-hook", site, env=environment)
    run(*pip, wheels.make(tmp_path, "probe", "1.0"), env=environment)
    assert "probe" in (site / ".epcache/index").read_text()
    answers = [run(python, "-B", "-c", READ, by, "error", env=environment) for by in ("epcache", "importlib")]
    assert answers[0] == answers[1]
    assert '["probe", "probe", "probe:run", "1.0"]' in answers[0]
