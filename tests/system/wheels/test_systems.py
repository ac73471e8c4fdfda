"""In systems of each kind, pip chooses a wheel of the release by itself. Then program and reader are used there.

The oldest system that Debian's mirrors have, one with another processor, two with Alpine's Python and musl, and one
for which there is no program.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import zipfile

import pytest
from support import installation
from support import wheels as small
from support.interpreters import run

from system.packages import chroot

from . import alpine

VENV = "/venv"
EPCACHE = f"{VENV}/bin/epcache"
STEPS = ("install", "upgrade", "same version", "removal")
# What each step installs: a version and its entry points.
HISTORY = {
    "install": ("1.0", "[g]\na = probe:a\n"),
    "upgrade": ("1.1", "[g]\nb = probe:b\n"),
    "same version": ("1.1", "[g]\nc = probe:c\n[h]\nd = probe:d\n"),
    "removal": None,
}
MACHINE = os.uname().machine


@pytest.fixture(scope="module", autouse=True)
def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root, to make chroots; run `sudo make test-wheels`")


def architecture(machine):
    """Debian's word for another machine, if it can be had."""
    if machine == MACHINE:
        return None
    (name,) = (name for name, of in chroot.EMULATED.items() if of == machine)
    done = subprocess.run([*chroot.emulator(name), "true"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"needs qemu-user-static, and Linux 6.7 for an emulator of its own: {done.stderr}")
    return name


@contextlib.contextmanager
def oldest():
    """Debian bullseye: Python 3.9 and the C library 2.31."""
    with chroot.unpacked("bullseye", ["python3", "python3-pip", "python3-venv"], update=False) as system:
        assert "2.31" in system.run("ldd", "--version").stdout.splitlines()[0]
        assert system.run("python3", "--version").stdout.startswith("Python 3.9.")
        system.run("python3", "-m", "venv", VENV)
        yield system, [f"{VENV}/bin/python", "-m", "pip"]


@contextlib.contextmanager
def aarch64():
    """Debian trixie of aarch64."""
    packages = ["python3", "python3-pip", "python3-venv"]
    with chroot.unpacked("trixie", packages, update=False, architecture=architecture("aarch64")) as system:
        yield system, in_environment(system, "python3")


@contextlib.contextmanager
def of_musl(machine):
    with chroot.unpacked("trixie", ["musl"], update=False, architecture=architecture(machine)) as system:
        alpine.install(system, machine)
        yield system, in_environment(system, alpine.PYTHON)


def in_environment(system, python):
    """pip of that Python, for an environment that has none: to install it takes minutes in an emulator."""
    system.run(python, "-m", "venv", "--without-pip", VENV)
    return [python, "-m", "pip", "--python", f"{VENV}/bin/python"]


@contextlib.contextmanager
def without_wheel():
    """Debian bullseye of i386."""
    if not chroot.is_startable("i386"):
        pytest.skip("needs a machine that runs programs for i386")
    packages = ["python3", "python3-venv"]
    with chroot.unpacked("bullseye", packages, update=False, architecture="i386") as system:
        system.run("python3", "-m", "venv", VENV)
        yield system, [f"{VENV}/bin/python", "-m", "pip"]


def install(system, pip, wheels):
    """Let pip choose a wheel and install it; returns the platform that it is for."""
    shutil.copytree(wheels, system.path("/wheels"))
    shutil.copy(installation.__file__, system.path("/installation.py"))
    system.run(*pip, "install", "--no-index", "--find-links", "/wheels", "epcache")
    (wheel,) = system.path(VENV).glob("lib/python3.*/site-packages/epcache-*.dist-info/WHEEL")
    return re.findall("^Tag: py3-none-(.*)$", wheel.read_text(), re.MULTILINE)


def asked(system, by):
    """What is installed, by importlib.metadata: plain, or with the reader."""
    variables = {"EPCACHE": "off"} if by == "plain" else {}
    done = system.run(f"{VENV}/bin/python", "/installation.py", by, env=variables)
    return json.loads(done.stdout)["answers"]


def assert_all_agree(system):
    plain = asked(system, "plain")
    assert asked(system, "accelerated") == plain
    listed = json.loads(system.run(EPCACHE, "list", "--venv", VENV, "--json").stdout)
    wanted = sorted(row for group in plain["entry_points"].values() for row in group)
    assert sorted([row["group"], row["name"], row["value"]] for row in listed) == wanted
    return plain


def a_wheel_for(wheels, platform):
    if not list(wheels.glob(f"*{platform}*.whl")):
        pytest.skip(f"no wheel for {platform}; see RELEASING.md")


@pytest.mark.parametrize(
    "opened, platform",
    [
        pytest.param(oldest, f"manylinux2014_{MACHINE}", marks=pytest.mark.covers("oldest", *STEPS)),
        pytest.param(aarch64, "manylinux2014_aarch64", marks=pytest.mark.covers("aarch64", *STEPS)),
        pytest.param(
            lambda: of_musl("x86_64"), "musllinux_1_2_x86_64", marks=pytest.mark.covers("musl", *STEPS)
        ),
        pytest.param(
            lambda: of_musl("aarch64"), "musllinux_1_2_aarch64", marks=pytest.mark.covers("musl", *STEPS)
        ),
    ],
    ids=["oldest", "aarch64", "musl-x86_64", "musl-aarch64"],
)
def test_pip_takes_the_wheel_and_its_index_stays_right(wheels, opened, platform):
    a_wheel_for(wheels, platform)
    with opened() as (system, pip):
        assert platform in install(system, pip, wheels)
        assert system.run(EPCACHE, "--version").stdout.startswith("epcache ")
        system.run(EPCACHE, "enable", "--venv", VENV, "--accelerate", "--pip-hook")
        system.run(EPCACHE, "refresh", "--venv", VENV)
        for step, content in HISTORY.items():
            if content:
                version, text = content
                files = {f"probe-{version}.dist-info/entry_points.txt": text}
                wheel = small.make(system.path("/wheels"), "probe", version, **files)
                system.run(*pip, "install", "--no-index", "--force-reinstall", f"/wheels/{wheel.name}")
            else:
                system.run(*pip, "uninstall", "--yes", "probe")
            plain = assert_all_agree(system)
            assert ("probe" in [row[0] for row in plain["distributions"]]) == (step != "removal"), step
            assert "fresh" in system.run(EPCACHE, "status", "--venv", VENV).stdout, step
            assert system.run(EPCACHE, "verify", "--venv", VENV).returncode == 0


@pytest.mark.covers("reader alone")
def test_pip_takes_the_reader_alone_where_no_program_fits(wheels):
    with without_wheel() as (system, pip):
        assert install(system, pip, wheels) == ["any"]
        assert asked(system, "accelerated") == asked(system, "plain")
        assert not system.path(EPCACHE).exists()
        # The message says how to get a program.
        done = system.run(f"{VENV}/bin/python", "-m", "epcache", check=False)
        assert done.returncode == 127
        assert "--no-binary epcache" in done.stderr


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_program_of_musl_needs_nothing_but_itself(wheels, machine, tmp_path):
    platform = f"musllinux_1_2_{machine}"
    a_wheel_for(wheels, platform)
    start = [] if machine == MACHINE else chroot.emulator(architecture(machine))
    (wheel,) = wheels.glob(f"*{platform}*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/scripts/epcache"))
        (tmp_path / "epcache").write_bytes(archive.read(name))
    (tmp_path / "epcache").chmod(0o755)
    info = tmp_path / "site-packages/plugin-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[group]\nname = plugin:run\n")
    epcache = [*start, "chroot", tmp_path, "/epcache"]
    assert ": 1 added" in run(*epcache, "refresh", "/site-packages")
    listed = run(*epcache, "list", "--site", "/site-packages", "--group", "group")
    assert "name = plugin:run" in listed
    run(*epcache, "verify", "/site-packages")
