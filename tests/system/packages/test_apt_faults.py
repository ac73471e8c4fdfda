"""Faults below epcache's trigger never fail apt, and no reader gives a wrong answer.

Each fault coincides with the change that is hardest to see: a rebuild that keeps the site directory's
stamp and the files' names, sizes and mtimes.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time

import pytest

from . import chroot, deb, debian_system
from .debian_system import CACHE, INDEX, SITE, assert_index_right

revisions = itertools.count(10)


@pytest.fixture(scope="module")
def installed(debian):
    shutil.copy(debian_system.HERE / "reader_check.py", debian.path("/srv"))
    return debian


@pytest.fixture
def system(installed):
    """The system with a right index; the test must be able to restore that state."""
    revise(installed)
    assert_index_right(installed)
    yield installed
    revise(installed)
    assert_index_right(installed)


@contextlib.contextmanager
def for_a_while(change, back):
    """Between `change()` and `back()`, which is called however the test ends."""
    change()
    try:
        yield
    finally:
        back()


def install(system, *packages, **options):
    return system.run("apt-get", "-y", "-q", "install", "--reinstall", *packages, **options)


def revision(system):
    """The path of the next revision of a package, and the entry point that is in it."""
    number = next(revisions)
    files = deb.dist_info(SITE, "plug", "1.0", f"[plugs]\nplug = plug:v{number}\n")
    package = deb.payload(system.path("/srv"), "python3-plug", f"1.0-{number}", files)
    return f"/srv/{package.name}", ["plugs", "plug", f"plug:v{number}"]


def revise(system):
    package, _ = revision(system)
    install(system, package)


def revise_with_fault(system, before=":", mounts=()):
    """Install a revision with apt, after the shell command `before` and with `mounts` in place,
    and query the reader meanwhile. Returns apt's output, and the answers."""
    package, point = revision(system)
    site = os.stat(system.path(SITE)).st_mtime_ns
    # Without a terminal of apt's own, scripts keep standard error separate.
    script = f"{before}; apt-get -y -q -oDpkg::Use-Pty=0 install {package} && python3 -I /srv/reader_check.py {SITE} >/srv/answers"
    result = system.run("sh", "-c", script, mounts=mounts)
    after = os.stat(system.path(SITE))
    # dpkg leaves it alone; a process that revokes the index sets it to the current time.
    assert after.st_mtime_ns in (site, after.st_ctime_ns)
    found = json.loads(system.path("/srv/answers").read_text())
    assert point in found["found"]
    debian_system.assert_reader_is_right(found)
    return result, found


def assert_said(result, *words):
    """Check that one message of epcache with these words is on standard error."""
    assert any(
        "epcache" in line and all(word in line for word in words) for line in result.stderr.splitlines()
    ), result.stderr


def assert_never_deceived(system):
    """Check the answers, also after the fault is removed and before anything else is done."""
    debian_system.assert_reader_is_right(debian_system.answers(system))


@pytest.mark.covers("apt", "failed")
def test_cache_directory_is_read_only(system):
    before = system.path(INDEX).read_bytes()
    result, found = revise_with_fault(system, mounts=[("read-only", "", CACHE)])
    # Where an image is made, /var is read-only: nothing is wrong, so nothing is said.
    assert "epcache: " not in result.stderr
    assert system.path(INDEX).read_bytes() == before
    assert any("StaleIndexWarning" in warning for warning in found["warnings"])
    assert_never_deceived(system)


def test_cache_directory_is_full(system):
    system.run("cp", "-a", CACHE, "/srv/copy")
    fill = f"cp -a /srv/copy/. {CACHE}/; head -c 1M /dev/zero >{CACHE}/filler"
    result, found = revise_with_fault(system, fill, [("tmpfs", "size=512k,mode=755", CACHE)])
    shutil.rmtree(system.path("/srv/copy"))
    assert_said(result, "No space left on device")
    assert not found["from_index"]


def test_user_is_missing(system):
    passwd = system.path("/etc/passwd")
    text = passwd.read_text()
    without = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("epcache:"))
    before = system.path(INDEX).read_bytes()
    with for_a_while(lambda: passwd.write_text(without), lambda: passwd.write_text(text)):
        result, found = revise_with_fault(system)
        assert_said(result, "user")
        assert not found["from_index"]
        assert system.path(INDEX).read_bytes() == before
    assert_never_deceived(system)


def test_reinstallation_brings_back_a_missing_user(system):
    system.run("userdel", "epcache")
    install(system, f"/srv/{next(system.path('/srv').glob('epcache_*.deb')).name}")
    assert debian_system.account(system) is not None
    assert_index_right(system)


def test_user_with_another_number_gets_the_cache(system):
    """The existing indexes belong to another user by then, so they are removed."""
    system.run("userdel", "epcache")
    system.run(
        "useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", "--uid", "567", "epcache"
    )
    install(system, f"/srv/{next(system.path('/srv').glob('epcache_*.deb')).name}")
    assert debian_system.account(system)[0] == 567
    assert_index_right(system)


@pytest.mark.parametrize(
    "text",
    ["site-directories = [\n", 'site-directorys = ["/srv"]\n', "site-directories = 3\n"],
    ids=["syntax", "unknown_key", "wrong_type"],
)
def test_configuration_is_broken(system, text):
    file = system.path("/etc/epcache/config.toml")
    file.parent.mkdir()
    with for_a_while(lambda: file.write_text(text), lambda: shutil.rmtree(file.parent)):
        result, _ = revise_with_fault(system)
        assert_said(result, "/etc/epcache/config.toml")
        assert_never_deceived(system)


def test_cache_directory_is_missing(system):
    cache, away = system.path(CACHE), system.path("/srv/away")
    with for_a_while(lambda: shutil.move(cache, away), lambda: shutil.move(away, cache)):
        result, found = revise_with_fault(system)
        assert_said(result, CACHE)
        assert not found["from_index"]
        # The former content is the subject of another test.
        (away / INDEX.removeprefix(f"{CACHE}/")).unlink()


def test_an_index_on_an_unmounted_file_system_is_not_used_later(system):
    cache, away = system.path(CACHE), system.path("/srv/away")
    with for_a_while(lambda: shutil.move(cache, away), lambda: shutil.move(away, cache)):
        revise_with_fault(system)
    assert_never_deceived(system)


def test_the_boot_time_unit_builds_an_index_that_no_trigger_could(system):
    """With the command and the capabilities of the unit."""
    unit = dict(
        line.split("=", 1)
        for line in (chroot.CHECKOUT / "packaging/systemd/epcache-refresh.service").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    capabilities = ",".join(
        f"+{name.removeprefix('CAP_').lower()}" for name in unit["CapabilityBoundingSet"].split()
    )
    boot = ["setpriv", "--no-new-privs", f"--bounding-set=-all,{capabilities}", *unit["ExecStart"].split()]
    for interrupt in (
        lambda: system.path(INDEX).unlink(),
        lambda: system.run("dpkg", "--no-triggers", "-i", revision(system)[0]),
    ):
        interrupt()
        # At boot all packages are old enough to be settled.
        time.sleep(3.5)
        system.run(*boot)
        assert_index_right(system)


@pytest.mark.covers("apt", "failed")
def test_program_cannot_be_run(system):
    program = system.path(debian_system.PROGRAM)
    with for_a_while(lambda: program.chmod(0o644), lambda: program.chmod(0o755)):
        result, found = revise_with_fault(system)
    assert_said(result, "could not be run")
    assert not system.path(INDEX).exists() and found["warnings"] == []


@pytest.fixture(scope="module")
def target(installed):
    """A second system, at /target of the first, in which the user gets another number."""
    place = installed.path("/target")
    place.mkdir()
    archive = chroot.archive(
        "trixie", [*debian_system.PACKAGES, "systemd-standalone-sysusers", "systemd-standalone-tmpfiles"]
    )
    subprocess.run(["tar", "-xpf", archive, "--numeric-owner", "-C", place], check=True)
    inner = chroot.Chroot(place, "trixie")
    inner.run("useradd", "--system", "somebody")
    yield inner
    shutil.rmtree(place)


@pytest.mark.covers("chrootless", "install")
@pytest.mark.parametrize("chrootless", [True, False], ids=["scripts_outside", "scripts_inside"])
def test_packages_of_another_root_get_an_index_there(installed, target, chrootless):
    """The scripts create the user there, by useradd from outside and by systemd-sysusers inside."""
    mine = os.stat(installed.path(INDEX))
    if debian_system.account(target):
        target.run("userdel", "epcache")
    dpkg = ["dpkg", "--root=/target", *(["--force-script-chrootless"] if chrootless else [])]
    # Without python3-epcache: its scripts, as of every package of Python code, need more of a host.
    [ours] = [f"/srv/{file.name}" for file in installed.path("/srv").glob("epcache_*.deb")]
    installed.run(*dpkg, "-i", ours)
    package, point = revision(installed)
    installed.run(*dpkg, "-i", package)
    [site] = [one for one in debian_system.by_importlib(target)["distributions"] if one["name"] == "plug"]
    assert site["entry_points"] == [point]
    found = target.path(INDEX).lstat()
    assert (found.st_uid, found.st_gid) == debian_system.account(target) != debian_system.account(installed)
    debian_system.assert_file_right(target)
    after = os.stat(installed.path(INDEX))
    assert (after.st_ino, after.st_ctime_ns) == (mine.st_ino, mine.st_ctime_ns)
    installed.run(*dpkg, "--purge", "epcache")
    assert not target.path(CACHE).exists() and installed.path(INDEX).exists()
