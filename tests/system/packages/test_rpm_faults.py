"""No fault in writing an index fails the transaction, or leaves a wrong answer.

And no process that could still be root is misled while an index is written.
"""

import json
import os
import shutil

import pytest

from . import rpm_faults, rpm_tree, trace
from .rpm_machine import EPCACHE, SITE
from .rpm_steps import ALPHA, BETA, BETA_REBUILT, CANARY, GUARDED, install


@pytest.mark.covers("rpm", "failed")
@pytest.mark.parametrize(
    "fault",
    [
        rpm_faults.read_only,
        rpm_faults.full,
        rpm_faults.without_user,
        rpm_faults.broken_configuration,
        rpm_faults.program_that_cannot_run,
        rpm_faults.cache_of_another_user,
        rpm_faults.no_cache_directory,
    ],
    ids=lambda fault: fault.__name__,
)
def test_fault_neither_fails_the_transaction_nor_leaves_a_wrong_answer(ready, fault):
    """The change is the one that is hardest to see, see BETA_REBUILT."""
    install(ready, BETA, options=["-U", "--oldpackage", "--replacepkgs"])
    ready.assert_right(SITE)
    with fault(ready):
        install(ready, BETA_REBUILT)
        assert answers(ready) == "two"
    # The former index must not become valid again when the fault is removed.
    assert answers(ready) == "two"
    ready.assert_answers_right(SITE)
    install(ready, ALPHA, options=["-U", "--replacepkgs"])
    ready.assert_right(SITE)


def answers(machine):
    """The build of `beta` that the Python reader reports. `epcache list` must agree, or report
    that it cannot tell."""
    read = {value for _, name, value in machine.reader(SITE, strict=False)["answer"] if name == "beta"}
    assert len(read) == 1
    listed = machine.system.run(EPCACHE, "list", "--site", SITE, "--name", "beta", "--json", check=False)
    if listed.returncode == 0:
        assert {entry["value"] for entry in json.loads(listed.stdout)} == read
    else:
        assert "beta" not in listed.stdout and listed.stderr
    return read.pop().partition(":")[2]


def test_failing_trigger_fails_the_transaction_from_rpm_6_on(bare):
    """Shows that status 0 in the other tests is significant."""
    version = bare.system.run("rpm", "--version").stdout.split()[-1]
    assert (int(version.split(".")[0]) >= 6) == (bare.system.suite == "sid")
    assert bare.rpm("-U", f"/payloads/{CANARY.filename}").status == 0
    assert bare.rpm("-U", f"/payloads/{ALPHA.filename}").status == (1 if bare.system.suite == "sid" else 0)
    bare.rpm("-e", "--noscripts", "--notriggers", "canary")


def test_tree_without_proc_and_null_device(machine):
    """An image is made with `rpm --root`: the trigger runs in a bare tree."""
    rpm_tree.make(machine)
    tree = machine.system.path(rpm_tree.TREE)
    for payload in ([], [ALPHA], [BETA], [BETA_REBUILT]):
        files = [f"/payloads/{found.filename}" for found in payload] or ["/ours/first/epcache.rpm"]
        done = machine.rpm("--root", rpm_tree.TREE, "-U", *files)
        assert done.status == 0, done.output
        assert not (tree / "proc").exists() and not os.path.lexists(tree / "dev/null")
    rpm_tree.assert_right(machine, "beta:two")


def test_trace_would_show_a_process_that_could_still_be_root(ready):
    """Every step of giving up root counts: without any one of them the trace is not clean."""
    ready.system.run(*trace.command("/trace/whole"), EPCACHE, "trigger", "rpm")
    place = ready.system.path("/trace/whole")

    def accesses():
        return [access for run in trace.runs(place, EPCACHE) for access in run.privileged_accesses(GUARDED)]

    assert accesses() == []
    whole = {file: file.read_text() for file in place.iterdir()}
    for step in ("setgroups(", "setresgid(", "setresuid(", "capset(", "prctl(PR_SET_NO_NEW_PRIVS"):
        lines = {file: text.splitlines(True) for file, text in whole.items()}
        assert any(line.startswith(step) for text in lines.values() for line in text)
        for file, text in lines.items():
            file.write_text("".join(line for line in text if not line.startswith(step)))
        assert accesses(), step
    shutil.rmtree(place)
