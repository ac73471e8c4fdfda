"""Debian bullseye: the oldest system that Debian's mirrors have, with Python 3.9 and the C library 2.31."""

import json
import os
import shutil

import pytest

from system.packages import chroot

ANSWER = """
import json, sys
module = __import__(sys.argv[1], fromlist=["*"])
found = module.distributions()
points = [(p.group, p.name, p.value) for d in found for p in d.entry_points]
versions = [(d.metadata["Name"], d.version) for d in module.distributions()]
print(json.dumps({"points": sorted(points), "versions": sorted(versions), "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def system(wheels):
    if os.geteuid() != 0:
        pytest.skip("needs root, to make chroots; run `sudo make test-wheels`")
    with chroot.unpacked("bullseye", ["python3", "python3-pip", "python3-venv"], update=False) as system:
        shutil.copytree(wheels, system.path("/wheels"))
        system.run("python3", "-m", "venv", "/venv")
        # Something to find, from the distribution itself.
        system.run("/venv/bin/pip", "install", "--no-index", "--find-links", "/wheels", "epcache")
        yield system


def test_the_system_is_as_old_as_it_says(system):
    assert "2.31" in system.run("ldd", "--version").stdout.splitlines()[0]
    assert system.run("python3", "--version").stdout.startswith("Python 3.9.")


def test_pip_has_taken_the_wheel_with_the_program(system):
    assert system.path("/venv/bin/epcache").is_file()


def test_enable_refresh_status_and_list(system):
    program = "/venv/bin/epcache"
    system.run(program, "enable", "--venv", "/venv", "--accelerate", "--pip-hook")
    system.run(program, "refresh", "--venv", "/venv")
    status = system.run(program, "status", "--venv", "/venv")
    assert "fresh" in status.stdout
    listed = system.run(program, "list", "--venv", "/venv", "--group", "console_scripts").stdout
    assert "pip" in listed
    assert system.run(program, "verify", "--venv", "/venv").returncode == 0


def test_the_reader_answers_as_importlib_metadata_does(system):
    answers = {}
    for module in ("epcache", "importlib.metadata"):
        # Without the acceleration that was enabled before.
        variables = {"EPCACHE": "off"} if module == "importlib.metadata" else {}
        done = system.run("/venv/bin/python", "-c", ANSWER, module, env=variables)
        answers[module] = json.loads(done.stdout)
    for key in ("points", "versions"):
        assert answers["epcache"][key] == answers["importlib.metadata"][key]
    assert ["console_scripts", "pip3", "pip._internal.cli.main:main"] in answers["epcache"]["points"]


def test_a_static_program_runs_there(system, wheels):
    machine = os.uname().machine
    for wheel in wheels.glob(f"*musllinux*{machine}.whl"):
        system.run("python3", "-m", "zipfile", "-e", f"/wheels/{wheel.name}", "/musl")
        (program,) = system.path("/musl").glob("*/scripts/epcache")
        program.chmod(0o755)
        inside = f"/{program.relative_to(system.root)}"
        system.run(inside, "refresh", "--venv", "/venv")
        assert "fresh" in system.run(inside, "status", "--venv", "/venv").stdout
        return
    pytest.skip("no musllinux wheel for this machine; see RELEASING.md")
