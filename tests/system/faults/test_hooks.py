"""The hooks of system-wide site directories: as whom they run, and that no kill loses a change."""

import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest
from support.checkout import release_program

from . import machine, scenes
from .campaign import Campaign

SITES = pathlib.Path("/var/cache/system")
HOOKS = pathlib.Path("/etc/epcache/hooks.d")
CALLS = "renameat fsync write sendto clone execveat fchmod setresuid unlinkat landlock_restrict_self openat"


@pytest.fixture(scope="module")
def campaign():
    made = Campaign()
    yield made
    made.close()


def epcache(*arguments, before=(), **options):
    return subprocess.run(
        [*before, release_program(), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=machine.environment(),
        timeout=60,
        **options,
    )


def site_directory():
    """A system-wide site directory with an index, and no hooks yet."""
    for kept in [*machine.CACHE.iterdir(), *machine.HOOK_CACHE.iterdir()]:
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    for kept in (HOOKS, SITES):
        shutil.rmtree(kept, ignore_errors=True)
    site = SITES / "usr/lib/python3/dist-packages"
    scenes.fill(site)
    machine.configure([site])
    assert epcache("trigger", "dpkg").returncode == 0
    return site


def register(name, script, lines=""):
    program = pathlib.Path("/etc/epcache/programs", name)
    scenes.put(program, "#!/bin/sh\n" + script)
    program.chmod(0o755)
    scenes.put(HOOKS / f"{name}.toml", f'description = "a test"\ncommand = ["{program}"]\n{lines}')


def system_hooks():
    site = site_directory()
    secret = machine.CACHE / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    os.chown(secret, machine.CACHE_USER, machine.CACHE_USER)
    index = next(machine.CACHE.rglob("index"))
    show = f"cat; id -u; id -G; cat {secret} /etc/passwd {index}; echo x > {site}/x"
    register("show", show + "; echo done > $EPCACHE_CACHE/file", '[sandbox]\nwrite = ["cache"]\n')
    register("others", "exit 5")
    register("missing", "true", '[sandbox]\nwrite = ["/nonexistent"]\n')
    scenes.put(HOOKS / "broken.toml", "description = 3\n")
    scenes.add(site, "delta-1.dist-info", "delta")
    done = epcache("trigger", "dpkg")
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and len(lines) == 3, done
    assert "broken.toml" in lines[0] and "hook missing: " in lines[1], done
    assert lines[1].endswith("hint: install -d -o epcache-hook -g epcache-hook /nonexistent"), done
    assert "hook others: exit status 5;" in lines[2], done
    log = epcache("hooks", "log", "show", "--system", "--json")
    (row,) = json.loads(log.stdout)
    output = row["output"].splitlines()
    change = json.loads(output[0])
    assert (change["event"], change["distribution"]) == ("added", "delta"), output
    assert output[1:3] == [str(machine.HOOK_USER)] * 2, output
    refused = [line for line in output if "Permission denied" in line or "cannot create" in line]
    assert len(refused) == 4 and "secret" not in output, output
    made = machine.HOOK_CACHE / "show"
    assert (made / "file").read_text() == "done\n"
    assert made.stat().st_uid == machine.HOOK_USER
    assert epcache("verify", site).returncode == 0
    # Those that failed have it still before them.
    register("others", "cat > $EPCACHE_CACHE/got", '[sandbox]\nwrite = ["cache"]\n')
    assert "others" not in epcache("trigger", "rpm").stderr
    assert '"distribution":"delta"' in (machine.HOOK_CACHE / "others/got").read_text()
    # After the third failure, no transaction mentions it. What has changed in that second would be tried again.
    time.sleep(1.1)
    assert "failed 3 times in a row, so it waits for 1 h" in epcache("trigger", "dpkg").stderr
    assert "hook missing: " not in epcache("trigger", "dpkg").stderr
    (listed,) = [line for line in epcache("hooks", "list").stdout.splitlines() if "missing.toml" in line]
    assert "failed 3 times in a row, so it waits until 2" in listed, listed


def hooks_without_time():
    site = site_directory()
    with open("/etc/epcache/config.toml", "a") as file:
        file.write("hooks-timeout = 1\n")
    register("slow", "sleep 1000")
    register("late", "true", "order = 5\n")
    scenes.add(site, "delta-1.dist-info", "delta")
    start = time.time()
    done = epcache("trigger", "dpkg")
    assert done.returncode == 0 and time.time() - start < 5, done
    slow, late = done.stderr.splitlines()
    assert "hook slow: did not end within 1 s, and was killed" in slow, done
    assert "hook late: " in late and "the time for all hooks is over" in late, done
    shutil.rmtree(HOOKS)
    register("late", "cat")
    assert epcache("trigger", "dpkg").stderr == ""
    (row,) = json.loads(epcache("hooks", "log", "late", "--system", "--json").stdout)
    assert '"delta"' in row["output"] and row["pending"] == 0, row


def test_a_transaction_waits_no_longer_than_configured_for_hooks(campaign):
    campaign.call(hooks_without_time)


def full_disk():
    site = site_directory()
    machine.mount("-t", "tmpfs", "-o", f"size=64k,uid={machine.HOOK_USER}", "tmpfs", machine.HOOK_CACHE)
    try:
        fill = "for i in 1 2 3; do mkdir -p $HOME/$i/$i; echo x > $HOME/$i/$i/file; done\n"
        register("full", fill + "cat /dev/zero > $EPCACHE_CACHE/file", '[sandbox]\nwrite = ["cache"]\n')
        scenes.add(site, "delta-1.dist-info", "delta")
        private = set(pathlib.Path("/tmp").glob("epcache-hook.*"))
        done = epcache("trigger", "dpkg")
        (line,) = done.stderr.splitlines()
        assert done.returncode == 0 and "hook full: exit status 1: " in line, done
        assert "No space left on device" in line, done
        assert set(pathlib.Path("/tmp").glob("epcache-hook.*")) <= private
        assert epcache("verify", site).returncode == 0
    finally:
        machine.unmount(machine.HOOK_CACHE)


def test_a_hook_that_fills_a_disk_fails_alone(campaign):
    campaign.call(full_disk)


def test_hooks_of_the_system_run_as_a_user_of_their_own(campaign):
    campaign.call(system_hooks)


def killed_everywhere(complete, seconds=12):
    """Kill each process of a transaction at each of its calls. Returns how often that was done."""
    start = time.time()
    count = 0
    for call in CALLS.split():
        for when in range(1, 200):
            if not complete and time.time() - start > seconds:
                return count
            if not killed_at(call, when):
                break
            count += 1
    return count


def killed_at(call, when):
    site = site_directory()
    register("log", "cat >> $EPCACHE_CACHE/log", '[sandbox]\nwrite = ["cache"]\n')
    epcache("trigger", "dpkg")
    log = machine.HOOK_CACHE / "log/log"
    scenes.add(site, "delta-1.dist-info", "delta")
    shutil.rmtree(site / "alpha-1.dist-info")
    trace = pathlib.Path("/var/cache/trace")
    fault = f"{call}:signal=KILL:when={when}"
    epcache(
        "trigger",
        "dpkg",
        before=["strace", "-f", "-o", trace, "-e", f"trace={call}", "-e", f"inject={fault}"],
    )
    is_met = "+++ killed by SIGKILL +++" in trace.read_text()
    scenes.add(site, "epsilon-1.dist-info", "epsilon")
    again = epcache("trigger", "dpkg")
    assert again.returncode == 0, (call, when, again)
    wanted = {("added", "delta"), ("removed", "alpha"), ("added", "epsilon")}
    changes = [json.loads(line) for line in log.read_text().splitlines()]
    seen = [(change["event"], change["distribution"]) for change in changes]
    assert wanted <= set(seen), (call, when, seen)
    assert seen.index(("added", "epsilon")) > seen.index(("removed", "alpha")), (call, when, seen)
    assert epcache("verify", site).returncode == 0, (call, when)
    journal = json.loads(next(machine.CACHE.rglob("hook-journal")).read_text())
    assert journal["hooks"]["log"]["changes"] == [], (call, when, journal)
    left = {path.name for path in next(machine.CACHE.rglob("index")).parent.iterdir()}
    assert left <= {"index", "lock", "hook-journal"}, (call, when, left)
    return is_met


def test_no_kill_loses_a_change_of_a_hook(campaign, complete, report):
    count = campaign.call(killed_everywhere, complete)
    report(f"hooks: {count} kills")
    assert count > 20
