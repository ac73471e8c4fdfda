"""Distributions of dpkg and of pip side by side, in Debian's directories and below an own Python in /usr/local.

Debian's Python has a directory for packages and one for pip, in /usr/local. An image of Python has its own there.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from support import wheels
from support.checkout import READER, TESTS
from support.interpreters import INTERPRETERS, run

from . import chroot, deb
from . import debian_system as debian
from .debian_system import PROGRAM, SITE

LOCAL = "/usr/local/lib/python3.13/dist-packages"
STEPS = ("install", "upgrade", "same version", "removal")
OWN = "/usr/local/bin/python3.13"
OWN_SITE = "/usr/local/lib/python3.13/site-packages"


@pytest.fixture(scope="module")
def system():
    ours = deb.epcache_packages()
    with chroot.unpacked("trixie", debian.BASE) as system:
        for package in ours:
            shutil.copy(package, system.path("/srv"))
        system.apt("install", "python3-pip", *(f"/srv/{package.name}" for package in ours))
        yield system


def ask(system, python, by, env):
    script = (TESTS / "support/installation.py").read_text()
    return json.loads(system.run(python, "-B", "-s", "-", by, input=script, env=env).stdout)


def assert_right(system, python="/usr/bin/python3", order=(), unread=None):
    """Check the answers with the directories `order` first on the path; returns the versions of probe, as found.

    Nothing in the directory `unread` may be read for them.
    """
    env = {"PYTHONPATH": ":".join(order)}
    plain, accelerated = (ask(system, python, by, env) for by in ("plain", "accelerated"))
    assert accelerated["answers"] == plain["answers"]
    if unread:
        assert [path for path in accelerated["read"] if path.startswith(f"{unread}/")] == []
    return [version for name, version, *_ in plain["answers"]["distributions"] if name == "probe"]


def is_fresh(system, site):
    return system.run(PROGRAM, "status", site, check=False).returncode == 0


def package(system, version, entry_points):
    """A Debian package of the distribution probe, in the system."""
    place = system.path("/srv/probe")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    files = deb.dist_info(SITE, "probe", version, entry_points)
    return f"/srv/probe/{deb.payload(place, 'probe', version, files).name}"


def wheel(system, version, entry_points):
    """A wheel of it, in the system."""
    text = {f"probe-{version}.dist-info/entry_points.txt": entry_points}
    return f"/srv/{wheels.make(system.path('/srv'), 'probe', version, **text).name}"


def pip(system, python, *arguments):
    options = ["--quiet", "--root-user-action=ignore", "--disable-pip-version-check"]
    system.run(python, "-B", "-m", "pip", *arguments, *options)


# What each step of a history installs: a version and its entry points.
HISTORY = [
    ("1.0", "[g]\na = probe:a\n"),
    ("1.1", "[g]\nb = probe:b\n"),
    ("1.1", "[g]\nc = probe:c\n[h]\nd = probe:d\n"),
    None,
]


@pytest.mark.covers("debian split", *STEPS)
def test_packages_and_pip_in_both_orders(system):
    """dpkg and pip change the same distribution by turns: that of pip hides the other one, unless it comes second."""
    of_dpkg = of_pip = None
    for step in HISTORY:
        if step:
            system.run("dpkg", "--install", package(system, *step))
        else:
            system.run("dpkg", "--remove", "probe")
        of_dpkg = step
        assert is_fresh(system, SITE)
        assert_both_orders(system, of_pip, of_dpkg)
        if step:
            # pip refuses to replace what dpkg has installed.
            how = "--force-reinstall" if of_pip else "--ignore-installed"
            options = ["--break-system-packages", "--no-index", how]
            of_pip = (f"1{step[0]}", step[1])
            pip(system, "python3", "install", *options, wheel(system, *of_pip))
        else:
            of_pip = None
            pip(system, "python3", "uninstall", "--break-system-packages", "--yes", "probe")
        assert_both_orders(system, of_pip, of_dpkg)
        system.run(PROGRAM, "refresh", LOCAL)
        assert is_fresh(system, LOCAL)
        assert_both_orders(system, of_pip, of_dpkg, unread=LOCAL)


def assert_both_orders(system, of_pip, of_dpkg, **options):
    wanted = [found[0] for found in (of_pip, of_dpkg) if found]
    assert assert_right(system, **options) == wanted
    assert assert_right(system, order=[SITE], **options)[: len(wanted)] == wanted[::-1]


@pytest.mark.covers("usr local", *STEPS)
def test_an_own_python_in_usr_local(system):
    prefix = Path(run(INTERPRETERS["3.13"], "-c", "import sys; print(sys.base_prefix)").strip())
    left_out = shutil.ignore_patterns("test", "config-*", "__pycache__", "idlelib", "share")
    shutil.copytree(prefix, system.path("/usr/local"), symlinks=True, dirs_exist_ok=True, ignore=left_out)
    subprocess.run(["chown", "-R", "root:root", system.path("/usr/local")], check=True)
    system.run("ldconfig")
    for name in ("epcache", "epcache_startup"):
        shutil.copytree(READER / name, system.path(f"{OWN_SITE}/{name}"), dirs_exist_ok=True)
    # The packages of Debian are not on its path.
    system.run("dpkg", "--install", package(system, "9.9", "[g]\nz = probe:z\n"))
    for step in HISTORY:
        if step:
            pip(system, OWN, "install", "--no-index", "--force-reinstall", wheel(system, *step))
        else:
            pip(system, OWN, "uninstall", "--yes", "probe")
        wanted = [step[0]] if step else []
        assert assert_right(system, OWN) == wanted
        system.run(PROGRAM, "refresh", "--wait", "--python", OWN)
        assert is_fresh(system, OWN_SITE)
        assert assert_right(system, OWN, unread=OWN_SITE) == wanted
        assert assert_right(system) == ["9.9"]
