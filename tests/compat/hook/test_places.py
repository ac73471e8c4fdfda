"""Other targets of pip: directories, other interpreters, the user directory, isolated builds."""

import pathlib
import shutil
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


# What pip is given, below "place": options, variables, and lines of its configuration file. Then the directory
# in which it installs, and whether that gets an index.
SITE = "place/lib/python{version}/site-packages"
PLACES = [
    (["--target", "place"], {}, "", "place", True),
    (["-qUtplace"], {}, "", "place", True),
    ([], {"PIP_TARGET": "place"}, "", "place", True),
    ([], {}, "[install]\ntarget = place", "place", True),
    (["--prefix", "place"], {}, "", SITE, True),
    ([], {"PIP_PREFIX": "place"}, "", SITE, True),
    ([], {}, "[global]\nprefix = place", SITE, True),
    (["--user"], {"PYTHONUSERBASE": "place"}, "", SITE, True),
    (["--root", "place"], {}, "", "place{site}", False),
    (["--root=place"], {}, "", "place{site}", False),
    ([], {"PIP_ROOT": "place"}, "", "place{site}", False),
    (["--root", "place", "--prefix", "/usr"], {}, "", SITE.replace("/lib", "/usr/lib"), False),
]


def test_the_directory_that_pip_changes_is_indexed_and_no_other(twins):
    wheel = wheels.make(twins.wheels, "probe", "1.0")
    hooked = twins.hooked
    version = hooked.site.parent.name.replace("python", "")
    own = hooked.site / ".epcache/index"
    before = own.stat().st_ino
    for options, settings, lines, place, is_indexed in PLACES:
        for environment in twins:
            changed = {name: f"{environment.directory}/{value}" for name, value in settings.items()}
            environment.variables = variables(environment.directory, **changed)
            (environment.directory / "pip.conf").write_text(lines)
            # Only then is there a user's own directory.
            home = f"home = {pathlib.Path(environment.python).resolve().parent}\n"
            shared = f"include-system-site-packages = {str('--user' in options).lower()}\n"
            (environment.directory / "pyvenv.cfg").write_text(home + shared)
        twins.install(*options, wheel)
        for environment in twins:
            environment.variables = variables(environment.directory)
        case = (options, settings, lines)
        place = hooked.directory / place.format(version=version, site=hooked.site)
        assert (place / "probe-1.0.dist-info").is_dir(), case
        if is_indexed:
            hooked.assert_fresh(place)
            assert ["probe", "probe", "probe:run", "1.0"] in hooked.installed("epcache", place), case
        indexes = {path.parent for path in hooked.directory.rglob(".epcache")}
        assert indexes == ({hooked.site, place} if is_indexed else {hooked.site}), case
        assert own.stat().st_ino == before, case
        for environment in twins:
            shutil.rmtree(environment.directory / "place")


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
    # pip installs the tool by another pip, which runs with the hook as well.
    calls = newest.hooked.directory / "calls"
    newest.hooked.program.unlink()
    newest.hooked.program.write_text(f'#!/bin/sh\necho "$*" >>{calls}\nexec {newest.hooked.tool} "$@"\n')
    newest.hooked.program.chmod(0o755)
    newest.install("--find-links", newest.wheels, project)
    newest.assert_refreshed()
    assert calls.read_text() == f"refresh --after=pip -- {newest.hooked.site}\n"
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
