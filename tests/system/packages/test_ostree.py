"""Image-based systems: triggers leave no index in a compose by rpm-ostree, `refresh --usr` does, and the first boot
makes one in `/var`.

rpm-ostree is not in Debian. Its sandbox is reproduced (ostree.py), and so is a deployment: all mtimes are 0, and
another one has other directories, with hard links to the same files where they are the same.
"""

import configparser
import json
import os
import shlex
import shutil
import subprocess
import time

import pytest
from support.private_mounts import mounted

from . import ostree
from .rpm_machine import CACHE, EPCACHE, SITE
from .rpm_payload import write
from .rpm_steps import ALPHA, ALPHA_2, BETA, BETA_REBUILT, EGGS, GAMMA, directory, erase, install

PYTHON = os.path.dirname(SITE)
IN_USR = "/usr/lib/epcache/index"


@pytest.fixture
def composed(bare):
    """A tree in which files of packages are, and no script of theirs has run."""
    if bare.system.suite != "sid":
        pytest.skip("systemd-tmpfiles is installed in sid alone")
    install(bare, ALPHA, BETA, EGGS, options=["-U", "--noscripts"], ours="first")
    for place in (
        "/usr/share/empty",
        "/usr/share/rpm",
        "/composed/var/tmp",
        "/composed/var/lib",
        "/booted/var",
    ):
        bare.system.path(place).mkdir(parents=True, exist_ok=True)
    set_times(bare)
    yield bare
    for place in ("/composed", "/booted"):
        shutil.rmtree(bare.system.path(place))
    shutil.rmtree(bare.system.path(IN_USR), ignore_errors=True)


def set_times(machine):
    """Give everything that Python's libraries are in the time of a file in OSTree."""
    machine.system.run("find", "/usr/lib", "-exec", "touch", "--no-dereference", "--date=@0", "{}", "+")


def var(machine, name):
    """`/var` of the tree is another directory of it for the duration of a `with`."""
    return mounted("--bind", machine.system.path(f"{name}/var"), machine.system.path("/var"))


def boot(machine):
    """What systemd does at boot: the directories of tmpfiles.d, and the service."""
    machine.system.run("systemd-tmpfiles", "--create", "epcache.conf")
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(machine.system.path("/usr/lib/systemd/system/epcache-refresh.service"))
    machine.system.run(*shlex.split(unit["Service"]["ExecStart"]))


def everything(root):
    """All files below `root`, with what would show that one was changed."""
    found = {}
    for place, names, more in os.walk(root):
        for name in [*names, *more]:
            path = os.path.join(place, name)
            stat = os.lstat(path)
            found[path] = (stat.st_ino, stat.st_ctime_ns)
    return found


@pytest.mark.parametrize("has_directory", [True, False], ids=["with", "without"])
def test_a_compose_is_silent_and_leaves_no_index(composed, has_directory):
    if has_directory:
        cache = composed.system.path(f"/composed/{CACHE}")
        cache.mkdir(parents=True)
        os.chown(cache, *composed.account())
    scripts = ostree.scripts(composed, "epcache")
    assert any(prefixes for *_, prefixes in scripts)
    before = everything(composed.system.root)
    with var(composed, "/composed"):
        for interpreter, script, prefixes in scripts:
            listed = list(ostree.files(composed, prefixes)) if prefixes else None
            assert listed is None or f"{SITE}/{directory(ALPHA)}/METADATA" in listed
            done = ostree.run(composed, interpreter, script, listed)
            assert (done.returncode, done.stdout) == (0, ""), script
    after = everything(composed.system.root)
    print({k for k in after if after[k] != before.get(k)})
    assert after.keys() == before.keys()


@pytest.mark.covers("rpm-ostree", "install", "same version")
def test_the_first_boot_makes_an_index_that_no_other_deployment_has(composed):
    # As old as a deployment is when it is booted.
    time.sleep(3.1)
    with var(composed, "/booted"):
        boot(composed)
        composed.assert_right(SITE)

        deploy(composed, BETA_REBUILT)
        composed.assert_answers_right(SITE)
        assert state(composed) == "stale"
        time.sleep(3.1)
        boot(composed)
        composed.assert_right(SITE)


def compose(machine):
    """Make the index in `/usr`, in the sandbox that scripts have; returns its bytes."""
    command = "epcache refresh --system --seal --usr --json"
    with var(machine, "/composed"):
        done = ostree.run(machine, "/bin/sh", command)
    assert done.returncode == 0, done.stdout
    (report,) = [json.loads(line) for line in done.stdout.splitlines() if f'"site":"{SITE}"' in line]
    assert report["sealed"] and report["index"] == f"{IN_USR}{SITE}/index", done.stdout
    set_times(machine)
    return machine.system.path(f"{IN_USR}{SITE}/index").read_bytes()


def assert_used(machine, expected, directory):
    """Check all answers, and the state and place of the index from which readers have them."""
    machine.assert_answers_right(SITE)
    states = json.loads(machine.system.run(EPCACHE, "status", "--json", "--system", check=False).stdout)
    (status,) = [status for status in states if status["site"] == SITE]
    assert (status["state"], status["index"]) == (expected, f"{directory}{SITE}/index"), status
    if expected == "fresh":
        # No warning, and no distribution is searched.
        assert not machine.reader(SITE)["searched"]


@pytest.mark.covers("rpm-ostree", "install", "same version")
def test_the_index_in_usr_is_used_until_the_machine_has_its_own(composed):
    first = compose(composed)
    with var(composed, "/booted"):
        assert_used(composed, "fresh", IN_USR)
        time.sleep(3.1)
        boot(composed)
        assert_used(composed, "fresh", CACHE)

        # Another deployment, with an index of its own. That of the machine is about the one before.
        deploy(composed, BETA_REBUILT)
    second = compose(composed)
    assert second != first and compose(composed) == second
    with var(composed, "/booted"):
        assert_used(composed, "fresh", IN_USR)
        time.sleep(3.1)
        boot(composed)
        assert_used(composed, "fresh", CACHE)


@pytest.mark.covers("rpm-ostree", "same version")
def test_an_index_in_usr_that_is_older_than_its_deployment_is_right(composed):
    compose(composed)
    deploy(composed, BETA_REBUILT)
    with var(composed, "/booted"):
        assert_used(composed, "stale", IN_USR)


def test_packages_that_rpm_changes_below_an_index_in_usr_are_seen(composed):
    index = compose(composed)
    changes = [
        lambda options: install(composed, BETA_REBUILT, options=["-U", *options]),
        lambda options: install(composed, ALPHA_2, GAMMA, options=["-U", *options]),
        lambda options: erase(composed, "gamma", *options),
    ]
    for options in (["--noscripts", "--notriggers"], []):
        for change in changes:
            change(options)
            set_times(composed)
            composed.assert_answers_right(SITE)
        install(composed, ALPHA, BETA, options=["-U", "--oldpackage", *options])
    # Triggers have made one in `/var`, and left this as it was.
    assert composed.index(SITE).exists()
    assert composed.system.path(f"{IN_USR}{SITE}/index").read_bytes() == index


def deploy(machine, payload):
    """Put other directories in place, with the same files but for those of `payload`."""
    machine.system.run("cp", "-al", PYTHON, f"{PYTHON}.new")
    machine.system.run("mv", PYTHON, f"{PYTHON}.old")
    machine.system.run("mv", f"{PYTHON}.new", PYTHON)
    replace(machine, payload)
    set_times(machine)
    machine.system.run("rm", "-r", f"{PYTHON}.old")


def replace(machine, payload):
    place = machine.system.path(f"{SITE}/{directory(payload)}")
    shutil.rmtree(place)
    unpacked = machine.system.path("/composed/package")
    write(payload, unpacked)
    shutil.move(unpacked / f"{SITE}/{directory(payload)}".lstrip("/"), place)
    shutil.rmtree(unpacked)


@pytest.mark.covers("composefs", "install", "same version")
def test_an_index_proves_nothing_where_the_times_of_changes_are_0_as_well(composed):
    """As on composefs, whose images are of EROFS: two of them have the same stamps and other files."""
    stamps = []
    with var(composed, "/booted"):
        for payload in (BETA, BETA_REBUILT):
            replace(composed, payload)
            image = composed.system.path("/composed/image")
            subprocess.run(["mkfs.erofs", "-T0", "--quiet", image, composed.system.path(PYTHON)], check=True)
            with mounted("-t", "erofs", "-o", "loop,ro", image, composed.system.path(PYTHON)):
                # Of the other image, or none.
                composed.assert_answers_right(SITE)
                boot(composed)
                composed.assert_answers_right(SITE)
                assert state(composed) == "unsettled"
                stamps.append(
                    [
                        (place.name, stat.st_mtime, stat.st_ctime, stat.st_ino, stat.st_size)
                        for place in [composed.system.path(SITE), *composed.system.path(SITE).rglob("*")]
                        for stat in [place.stat()]
                    ]
                )
            image.unlink()
    assert sorted(stamps[0]) == sorted(stamps[1])


@pytest.mark.covers("composefs", "install", "same version")
def test_on_composefs_the_index_in_usr_is_the_one_that_is_used(composed):
    for payload in (BETA, BETA_REBUILT):
        replace(composed, payload)
        image = composed.system.path("/composed/image")
        python = composed.system.path(PYTHON)
        for has_own in (False, True):
            if has_own:
                compose(composed)
            subprocess.run(["mkfs.erofs", "-T0", "--quiet", image, python], check=True)
            with var(composed, "/booted"), mounted("-t", "erofs", "-o", "loop,ro", image, python):
                if has_own:
                    assert_used(composed, "fresh", IN_USR)
                    boot(composed)
                    assert_used(composed, "fresh", IN_USR)
                else:
                    # None, or that of the other image, and an index in /var that is about that one as well.
                    composed.assert_answers_right(SITE)
            image.unlink()


def state(machine):
    states = json.loads(machine.system.run(EPCACHE, "status", "--json", "--system", check=False).stdout)
    (found,) = [status["state"] for status in states if status["site"] == SITE]
    return found
