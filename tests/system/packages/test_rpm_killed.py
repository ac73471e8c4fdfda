"""rpm, killed in its middle: readers read what is there, and the next transaction brings the index up to date.

The package that changes has entry points only after a rebuild of the same version. The site directory looks as before,
and an old index says that there are none to be looked for. What dnf and zypper do is in test_repositories.py.
"""

import json

import pytest
from support import injection

from .rpm_machine import EPCACHE, SITE
from .rpm_steps import ALPHA, DELTA, DELTA_KILLING, DELTA_REBUILT, directory, install

PLACE = f"{SITE}/{directory(DELTA)}"
# Calls by which rpm replaces the two files of DELTA by three.
STEPS = [("openat", 1), ("openat", 3), ("renameat", 1), ("renameat", 2), ("renameat", 3)]


def repair(machine):
    """Install DELTA as it was, whatever a killed rpm has left."""
    machine.system.run("rpm", "-e", "--allmatches", "delta", check=False)
    machine.system.run("rm", "-rf", PLACE)
    install(machine, DELTA)
    states = json.loads(machine.system.run(EPCACHE, "status", "--json").stdout)
    assert {state["site"]: state["state"] for state in states}[SITE] == "fresh"


def kill(machine, step, options):
    """Rebuild DELTA, and kill rpm at this call; without one, when all files are in place."""
    if step:
        payload = DELTA_REBUILT
        command = injection.killed([PLACE], *step)
    else:
        # Nothing kills the first process of a namespace from within.
        payload, command = DELTA_KILLING, ["sh", "-c", '"$0" "$@"; exit $?']
    ended = machine.system.run(*command, "rpm", *options, f"/payloads/{payload.filename}", check=False)
    assert ended.returncode == 137, (step, ended.stderr)


@pytest.mark.covers("rpm", "killed")
@pytest.mark.parametrize(
    "options", [["-U"], ["-U", "--notriggerun"]], ids=["with the first trigger", "without it"]
)
def test_after_a_killed_transaction_readers_read_what_is_there(ready, options):
    """Without the trigger before the transaction, an old index would be taken for a right one."""
    wrong = []
    for step in [*STEPS, None]:
        repair(ready)
        kill(ready, step, options)
        try:
            ready.assert_reader_right(SITE)
        except AssertionError:
            wrong.append(step)
    assert bool(wrong) == ("--notriggerun" in options), wrong
    install(ready, ALPHA, options=["-U", "--replacepkgs"])
    ready.assert_right(SITE)
    repair(ready)
    ready.system.run("rpm", "-e", "delta")
