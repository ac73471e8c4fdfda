"""Hooks that may run later are handed to systemd, and the transaction does not wait: on a booted system."""

import json
import time

import pytest

from . import booted, deb, debian_system

SITE = debian_system.SITE
CACHE = "/var/cache/epcache-hooks/slow"
REGISTRATION = """\
description = "Record changes, slowly"
command = ["/bin/sh", "-c", '''{script}''']
when = "later"
timeout = {timeout}
[sandbox]
write = ["cache"]
"""
SLOW = 'cd "$EPCACHE_CACHE"; echo begin >>log; cat >>log; sleep 3; id -u >>log; echo end >>log'
STEPS = iter(range(1000))


@pytest.fixture(scope="module")
def machine():
    packages = [*debian_system.BASE, *booted.PACKAGES, "passwd", "procps"]
    with debian_system.with_epcache(packages) as system:
        # Shorter than the hook takes: the limit is for what transactions wait for.
        config = system.path("/etc/epcache/config.toml")
        config.parent.mkdir(exist_ok=True)
        config.write_text("hooks-timeout = 2\n")
        with booted.booted(system) as machine:
            yield machine


@pytest.fixture(autouse=True)
def clean(machine):
    """No unit is at work, nothing is registered, and nothing is pending."""
    yield
    machine.path("/etc/epcache/hooks.d/slow.toml").unlink()
    wait_until(lambda: not units(machine))
    machine.run("epcache", "refresh", "--system")
    machine.run("rm", "-rf", CACHE)


def register(machine, script=SLOW, timeout=30):
    registration = machine.path("/etc/epcache/hooks.d/slow.toml")
    registration.parent.mkdir(parents=True, exist_ok=True)
    registration.write_text(REGISTRATION.format(script=script, timeout=timeout))


def install(machine, *names, before=()):
    """Install packages with distributions of these names in one transaction; returns how long it took."""
    version = next(STEPS)
    packages = []
    for name in names:
        files = deb.dist_info(SITE, name, f"1.{version}", f"[plugins]\nx = {name}:x\n")
        package = deb.payload(machine.path("/srv"), f"python3-{name}", f"1.{version}", files)
        packages.append(f"/srv/{package.name}")
    start = time.monotonic()
    done = machine.run(*before, "dpkg", "-i", *packages)
    output = done.stdout + done.stderr
    assert "hook" not in output and "unit" not in output, output
    return time.monotonic() - start


def units(machine):
    listed = machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "epcache-hooks-*")
    return [line.split()[0] for line in listed.stdout.splitlines()]


def log(machine):
    """What the hook has recorded: its lines, of a change the name."""
    file = machine.path(f"{CACHE}/log")
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["distribution"] if line.startswith("{") else line for line in lines]


def row(machine):
    """What `hooks log` says."""
    listed = machine.run("epcache", "hooks", "log", "slow", "--system", "--json", check=False)
    return json.loads(listed.stdout)[0] if listed.returncode == 0 else None


def wait_until(condition, limit=60):
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def user(machine):
    passwd = machine.path("/etc/passwd").read_text()
    (uid,) = [line.split(":")[2] for line in passwd.splitlines() if line.startswith("epcache-hook:")]
    return uid


def test_a_transaction_does_not_wait_for_a_later_hook(machine):
    register(machine)
    install(machine, "alpha")
    assert "end" not in log(machine)
    (unit,) = units(machine)
    wait_until(lambda: not units(machine))
    assert log(machine) == ["begin", "alpha", user(machine), "end"]
    found = row(machine)
    assert found["succeeded"] and found["pending"] == 0, found
    assert "slow: succeeded in 3." in machine.journal(f"--unit={unit}")
    # Nothing is due, so no unit is started.
    machine.run("dpkg-trigger", "--no-await", SITE)
    machine.run("dpkg", "--configure", "--pending")
    assert units(machine) == []


def test_units_run_one_after_the_other_and_lose_nothing(machine):
    register(machine)
    names = ["alpha", "beta", "gamma"]
    for name in names:
        install(machine, name)
    assert len(units(machine)) == 3
    wait_until(lambda: not units(machine))
    lines = log(machine)
    marks = [line for line in lines if line in ("begin", "end")]
    assert marks in (["begin", "end"] * 2, ["begin", "end"] * 3), lines
    assert {*names} <= {*lines} and row(machine)["pending"] == 0
    assert [line for line in dict.fromkeys(lines) if line in names] == names


def test_a_later_hook_has_its_own_limit(machine):
    register(machine, "exec sleep 1000", timeout=1)
    install(machine, "alpha")
    wait_until(lambda: not units(machine))
    found = row(machine)
    assert found["result"].startswith("did not end within 1 s") and found["pending"] == 1, found
    # The next transaction tries it again, and waits no more than before.
    register(machine)
    install(machine, "beta")
    wait_until(lambda: not units(machine))
    assert log(machine) == ["begin", "alpha", "beta", user(machine), "end"]


def test_what_a_killed_unit_has_not_done_is_done_by_the_next(machine):
    register(machine)
    install(machine, "alpha")
    wait_until(lambda: log(machine))
    machine.run("pgrep", "-u", "epcache-hook")
    (unit,) = units(machine)
    machine.run("systemctl", "kill", "--signal=KILL", unit)
    wait_until(lambda: not units(machine))
    assert log(machine) == ["begin", "alpha"]
    assert machine.run("pgrep", "-u", "epcache-hook", check=False).returncode == 1
    install(machine, "beta")
    wait_until(lambda: not units(machine))
    assert log(machine) == ["begin", "alpha", "begin", "alpha", "beta", user(machine), "end"]


@pytest.mark.parametrize("program", ["/usr/bin/false", "/srv/hanging", None])
def test_without_a_unit_a_later_hook_runs_at_once(machine, program):
    register(machine, SLOW.replace("sleep 3", "sleep 1"))
    if program is None:
        # Like a chroot into which the outer /run is not mounted.
        before = "mount -t tmpfs tmpfs /run/systemd"
    else:
        machine.path("/srv/hanging").write_text("#!/bin/sh\nexec sleep 1000\n")
        machine.path("/srv/hanging").chmod(0o755)
        before = f"mount --bind {program} /usr/bin/systemd-run"
    within = ["unshare", "--mount", "sh", "-c", f'{before}; exec "$@"', "sh"]
    took = install(machine, "alpha", before=within)
    assert took < 20
    assert log(machine) == ["begin", "alpha", user(machine), "end"]
    assert units(machine) == []


def test_nothing_of_the_caller_decides_what_root_runs(machine):
    register(machine)
    hostile = machine.path("/srv/hostile/systemd-run")
    hostile.parent.mkdir(exist_ok=True)
    hostile.write_text("#!/bin/sh\ntouch /srv/was-run\n")
    hostile.chmod(0o755)
    variables = [
        "PATH=/srv/hostile:/usr/sbin:/usr/bin:/sbin:/bin",
        "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent",
    ]
    install(machine, "alpha", before=["env", "-i", *variables, "SYSTEMD_LOG_LEVEL=debug"])
    assert len(units(machine)) == 1
    wait_until(lambda: not units(machine))
    assert log(machine) == ["begin", "alpha", user(machine), "end"]
    assert not machine.path("/srv/was-run").exists()


def test_the_service_at_boot_runs_later_hooks_itself(machine):
    register(machine, SLOW.replace("sleep 3", "sleep 1"))
    files = deb.dist_info(SITE, "alpha", "9", "[plugins]\nx = alpha:x\n")
    for path, text in files.items():
        machine.path(path).parent.mkdir(exist_ok=True)
        machine.path(path).write_text(text)
    machine.run("systemctl", "start", "epcache-refresh.service")
    assert units(machine) == []
    assert log(machine) == ["begin", "alpha", user(machine), "end"]
    machine.run("rm", "-r", f"{SITE}/alpha-9.dist-info")


def test_hooks_run_by_hand_with_what_is_due(machine):
    register(machine)
    install(
        machine,
        "alpha",
        before=[
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount --bind /bin/true /usr/bin/systemd-run; exec "$@"',
            "sh",
        ],
    )
    assert log(machine) == [] and row(machine)["pending"] == 1
    dry = machine.run("epcache", "hooks", "run", "--system", "--due", "--dry-run")
    assert dry.stdout == "slow: would be given 1 distributions\n"
    done = machine.run("epcache", "hooks", "run", "slow", "--system", "--due")
    assert done.stdout.startswith("slow: succeeded in 3.")
    assert log(machine) == ["begin", "alpha", user(machine), "end"]
    again = machine.run("epcache", "hooks", "run", "slow", "--system", "--due")
    assert again.stdout == "slow: nothing is due\n"
