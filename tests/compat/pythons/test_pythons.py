"""Each kind of interpreter and directory, through a history of installations: epcache answers as importlib.metadata.

After every step the answers are compared twice: with the index that the step has made stale, and with a new one.
"""

import os
import shutil
import zipfile

import pytest
from support import wheels
from support.checkout import READER, debug_program
from support.interpreters import INTERPRETERS, run

from .places import ANSWERS, STEPS, Place, environment, play, variables

PYPY = shutil.which("pypy3")
# A build without the global lock has its version and a t as its name.
FREE_THREADED = os.environ.get("EPCACHE_TEST_FREE_THREADED") or next(
    filter(None, map(shutil.which, ("python3.15t", "python3.14t", "python3.13t"))), None
)


def pip_installs(python, *options, **more):
    """A function that installs a wheel, whatever is there before."""
    command = [python, "-m", "pip", "install", "--quiet", "--no-index", "--force-reinstall", *options]
    return lambda wheel: run(*command, wheel, env=variables(**more))


def pip_removes(python, **more):
    return lambda: run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "probe", env=variables(**more))


def removal_from(target, python):
    """A function that removes a distribution that was installed with ``--target``.

    Nothing does that but a pip that finds it on its path. An upgrade keeps the metadata of the old version beside
    the new one, and each call removes one of them.
    """
    remove = pip_removes(python, PYTHONPATH=str(target))

    def remove_all():
        while list(target.glob("probe-*.dist-info")):
            remove()

    return remove_all


def play_in_environment(python, directory):
    python, site = environment(python, directory / "environment")
    place = Place(site, [python])
    play(place, directory / "wheels", pip_installs(python), pip_removes(python))


@pytest.mark.covers("pypy", *STEPS)
@pytest.mark.skipif(PYPY is None, reason="needs pypy3, and its module venv")
def test_pypy(tmp_path):
    play_in_environment(PYPY, tmp_path)


@pytest.mark.covers("free-threaded", *STEPS)
@pytest.mark.skipif(FREE_THREADED is None, reason="needs a free-threaded CPython: EPCACHE_TEST_FREE_THREADED")
def test_free_threaded_build(tmp_path):
    assert run(FREE_THREADED, "-c", "import sys; print(sys._is_gil_enabled())") == "False\n"
    play_in_environment(FREE_THREADED, tmp_path)


@pytest.mark.covers("target", *STEPS)
def test_directory_of_pip_s_target_option(tmp_path):
    target, python = tmp_path / "target", INTERPRETERS["3.13"]
    install = pip_installs(python, "--target", target, "--upgrade")
    # So that the directory stays one with distributions.
    install(wheels.make(tmp_path, "other", "1"))
    place = Place(target, [python], PYTHONPATH=str(target))
    play(place, tmp_path / "wheels", install, removal_from(target, python))


@pytest.mark.covers("two interpreters", *STEPS)
def test_two_interpreters_on_one_directory(tmp_path):
    target, pythons = tmp_path / "target", [INTERPRETERS["3.9"], INTERPRETERS["3.13"]]
    installers = [pip_installs(python, "--target", target, "--upgrade") for python in pythons]
    installers[0](wheels.make(tmp_path, "other", "1"))
    place = Place(target, pythons, PYTHONPATH=str(target))

    def install(wheel):
        """By one after the other."""
        installers.reverse()
        installers[0](wheel)

    play(place, tmp_path / "wheels", install, removal_from(target, pythons[0]))


@pytest.mark.covers("zipapp", *STEPS)
def test_zipapp_with_distributions_in_an_enabled_environment(tmp_path):
    python, site = environment(INTERPRETERS["3.13"], tmp_path / "environment")
    # As packages install it.
    for package in ("epcache", "epcache_startup"):
        shutil.copytree(READER / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    run(debug_program(), "enable", "--accelerate", site)
    application = tmp_path / "application.pyz"

    def pack(wheel):
        """Make the application, with an installed distribution in it."""
        contents = tmp_path / "contents"
        shutil.rmtree(contents, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(contents)
        shutil.copy(ANSWERS, contents / "__main__.py")
        run(python, "-m", "zipapp", contents, "--output", application)

    place = Place(site, [python])
    # The application does not know of epcache.
    place.plain = [application, "plain"], {"EPCACHE": "off"}
    place.accelerated = [application, "plain"], {}
    pack(wheels.make(tmp_path, "other", "1"))
    play(place, tmp_path / "wheels", pip_installs(python), pip_removes(python))
    # One of the name in both: that of the application comes first.
    pip_installs(python)(tmp_path / "wheels/probe-1.0-py3-none-any.whl")
    place.refresh()
    for wheel in sorted(tmp_path.glob("wheels/probe-*.whl")):
        pack(wheel)
        assert ("probe", "1.0") in place.assert_right(from_index=True)
