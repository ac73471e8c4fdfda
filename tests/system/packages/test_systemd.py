"""The units on a booted Debian trixie: the services at boot and once a day, and the watched site directory.

The tests are the history of one system and run in this order.
"""

import json
import re
import shutil
import time
import zipfile

import pytest
from support import index_reader

from . import booted, chroot, deb, debian_system

UNITS = "/usr/lib/systemd/system"
# Of 10, as `systemd-analyze security` rates a service.
MOST_EXPOSED = 1.5
HOME = "/home/owner"
VENV = f"{HOME}/my env"
SITE = f"{VENV}/lib/python3.13/site-packages"
OWNER = 1000
# The service waits for an installer, for 3 s.
WAIT = 30


@pytest.fixture(scope="module")
def system():
    include = [*booted.PACKAGES, "passwd", "python3-venv"]
    with chroot.unpacked("trixie", include, update=False) as system:
        for package in deb.epcache_packages():
            shutil.copy(package, system.path("/srv"))
        # As in an image whose packages were installed where no trigger could write: no index.
        installed = system.run("sh", "-c", "dpkg --install /srv/*.deb")
        system.installed = installed.stdout + installed.stderr
        shutil.rmtree(system.path(f"{debian_system.CACHE}/usr"))
        system.run("useradd", "--create-home", "--uid", str(OWNER), "owner")
        system.path(HOME).chmod(0o700)
        yield system


@pytest.fixture(scope="module")
def machine(system):
    # A boot comes later than this one could. What is younger than 3 s is not settled.
    time.sleep(3.1)
    with booted.booted(system) as machine:
        yield machine


def as_owner(machine, *command):
    become = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"]
    return machine.run(*become, "env", f"--chdir={HOME}", f"HOME={HOME}", *command)


def instance(machine, kind):
    """The name of the unit of that kind for SITE."""
    return "epcache-refresh@" + machine.run("systemd-escape", "--path", SITE).stdout.strip() + f".{kind}"


def properties(machine, unit, *names):
    shown = machine.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).stdout
    return dict(line.split("=", 1) for line in shown.splitlines())


def indexed(machine):
    """The names of the distributions in the index of SITE, or nothing."""
    index = machine.path(f"{SITE}/.epcache/index")
    return set(index_reader.parse(index.read_bytes()).distributions) if index.exists() else set()


def wait_for(condition, what):
    deadline = time.monotonic() + WAIT
    while not (found := condition()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)
    return found


def test_installation_says_nothing_of_its_own(system):
    ours = re.findall(r"(?i)^.*(?:epcache|creating|useradd|sysusers).*$", system.installed, re.MULTILINE)
    usual = (
        r"(?:Selecting|Preparing to unpack|Unpacking|Setting up|Created symlink|Processing triggers for) .*"
    )
    assert [line for line in ours if not re.fullmatch(usual, line)] == []


def test_the_units_are_right_and_confined(system):
    units = sorted(path.name for path in system.path(UNITS).glob("epcache-refresh*"))
    assert len(units) == 5
    checked = [name.replace("@", "@home-owner") for name in units]
    done = system.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *checked)
    assert done.stdout + done.stderr == ""
    for unit in (name for name in checked if name.endswith(".service")):
        limit = str(round(MOST_EXPOSED * 10))
        rated = system.run(
            "systemd-analyze", "security", "--offline=yes", f"--threshold={limit}", unit, check=False
        )
        assert rated.returncode == 0, rated.stdout
        print(rated.stdout.strip().splitlines()[-1])


@pytest.mark.covers("systemd")
def test_the_service_makes_the_index_at_boot(machine):
    wait_for(
        lambda: properties(machine, "epcache-refresh.service", "ActiveState") == {"ActiveState": "inactive"},
        lambda: "the service does not end",
    )
    found = properties(machine, "epcache-refresh.service", "Result", "ExecMainStatus", "UnitFileState")
    assert found == {"Result": "success", "ExecMainStatus": "0", "UnitFileState": "enabled"}
    debian_system.assert_file_right(machine.system)
    assert machine.run("epcache", "status", "--system").stdout.count(": fresh") == 1
    assert "1 added" in machine.journal("--unit=epcache-refresh.service", "--identifier=epcache")


def test_the_service_drops_its_privileges_in_its_sandbox(machine):
    """`status --sandbox` runs with everything that confines the service."""
    unit = machine.path("/etc/systemd/system/epcache-refresh.service.d/sandbox-test.conf")
    unit.parent.mkdir()
    unit.write_text("[Service]\nExecStart=\nExecStart=/usr/bin/epcache status --sandbox --json\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "epcache-refresh.service")
    shutil.rmtree(unit.parent)
    machine.run("systemctl", "daemon-reload")
    said = machine.journal("--unit=epcache-refresh.service", "--identifier=epcache", "--output=cat")
    (found,) = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {
        part: found[part]["state"] for part in ("landlock", "seccomp", "limits", "groups")
    } == dict.fromkeys(("landlock", "seccomp", "limits", "groups"), "enforced")


def test_the_timer_repairs_once_a_day(machine):
    listed = json.loads(machine.run("systemctl", "list-timers", "--output=json").stdout)
    (timer,) = [one for one in listed if one["unit"] == "epcache-refresh.timer"]
    assert timer["activates"] == "epcache-refresh.service"
    ahead = timer["next"] / 1e6 - time.time()
    assert 0 < ahead < 86400 + 6 * 3600


def test_messages_have_a_priority(machine):
    configuration = machine.path("/etc/epcache/config.toml")
    configuration.parent.mkdir(exist_ok=True)
    configuration.write_text("nonsense = 1\n")
    assert machine.run("systemctl", "start", "epcache-refresh.service", check=False).returncode == 1
    machine.run("epcache", "trigger", "dpkg")
    configuration.unlink()
    machine.run("journalctl", "--sync")
    lines = machine.journal("--identifier=epcache", "--priority=err", "--output=json").splitlines()
    found = [json.loads(line) for line in lines]
    assert {(one["_TRANSPORT"], one["PRIORITY"]) for one in found} == {("stdout", "3"), ("syslog", "3")}
    for one in found:
        assert "nonsense" in one["MESSAGE"] or "configuration" in one["MESSAGE"], one
        assert not one["MESSAGE"].startswith(("<", "epcache")), one
    machine.run("systemctl", "reset-failed")
    machine.run("systemctl", "start", "epcache-refresh.service")


@pytest.mark.covers("systemd", "install", "removal")
def test_a_watched_environment_is_refreshed_as_its_owner(machine):
    as_owner(machine, "python3", "-m", "venv", VENV)
    path, service, timer = (instance(machine, kind) for kind in ("path", "service", "timer"))
    machine.run("systemctl", "enable", "--now", path)
    # At once, for what was there before.
    pip = wait_for(lambda: indexed(machine), lambda: machine.journal(f"--unit={service}"))
    assert len(pip) == 1
    assert properties(machine, timer, "ActiveState") == {"ActiveState": "active"}

    wheel = write_wheel(machine.path(HOME), "example", "1.0")
    as_owner(machine, f"{VENV}/bin/pip", "install", "--quiet", "--no-index", f"{HOME}/{wheel}")
    wait_for(
        lambda: indexed(machine) == pip | {"example-1.0.dist-info"},
        lambda: machine.journal(f"--unit={service}"),
    )
    for made in (f"{SITE}/.epcache", f"{SITE}/.epcache/index"):
        found = machine.path(made).lstat()
        assert (found.st_uid, found.st_gid) == (OWNER, OWNER), made
    wait_for(
        lambda: properties(machine, service, "ActiveState") == {"ActiveState": "inactive"},
        lambda: "the service does not end",
    )
    assert properties(machine, service, "Result") == {"Result": "success"}
    assert as_owner(machine, "epcache", "status", SITE).stdout.count(": fresh") == 1

    as_owner(machine, f"{VENV}/bin/pip", "uninstall", "--quiet", "--yes", "example")
    wait_for(lambda: indexed(machine) == pip, lambda: machine.journal(f"--unit={service}"))


def test_what_the_path_can_not_notice_is_repaired_by_the_timer(machine):
    path, service, timer = (instance(machine, kind) for kind in ("path", "service", "timer"))
    wait_for(
        lambda: properties(machine, service, "ActiveState") == {"ActiveState": "inactive"},
        lambda: "the service does not end",
    )
    before = properties(machine, service, "InvocationID")
    (pip,) = indexed(machine)
    file = machine.path(f"{SITE}/{pip}/entry_points.txt")
    file.write_text(file.read_text() + "\n[example]\nlater = os:getpid\n")
    time.sleep(1)
    assert properties(machine, service, "InvocationID", "ActiveState") == {
        **before,
        "ActiveState": "inactive",
    }
    # The timer, when its time has come.
    assert properties(machine, timer, "Unit") == {"Unit": service}
    machine.run("systemctl", "start", service)
    index = index_reader.parse(machine.path(f"{SITE}/.epcache/index").read_bytes())
    assert ("example", "later", "os:getpid") in map(tuple, index.distributions[pip].entry_points)
    machine.run("systemctl", "disable", "--now", path)
    assert properties(machine, timer, "ActiveState") == {"ActiveState": "inactive"}


def test_without_python_the_service_has_nothing_to_do(machine):
    service, there, hidden = "epcache-refresh.service", debian_system.SITE, "/usr/lib/python3/hidden"
    machine.run("mv", there, hidden)
    machine.run("systemctl", "start", service)
    found = properties(machine, service, "ConditionResult", "Result", "ActiveState")
    machine.run("mv", hidden, there)
    assert found == {"ConditionResult": "no", "Result": "success", "ActiveState": "inactive"}


def test_nothing_failed(machine):
    assert machine.run("systemctl", "--failed", "--plain", "--no-legend").stdout == ""


def write_wheel(directory, name, version):
    """A wheel with an entry point, in `directory`; returns its file name."""
    wheel = f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / wheel, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", f"[example]\n{name} = {name}:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel
