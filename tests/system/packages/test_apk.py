"""The trigger and the commit hook of our package for Alpine Linux, called as apk calls them.

apk is not run: no package of Debian has it. What is replayed is what apk 3.0 does: it runs the commit hook, writes
files beside the old ones and renames them, runs the script of the trigger from a file in memory with the changed
directories as arguments, an empty pipe and an environment of three variables, writes its database, and runs the hook
again. The hook is a file, and gets the name of the stage.
"""

import json
import time

import pytest
from support import index_reader

from . import chroot, debian_system, rpm_faults, rpm_machine, trace
from .rpm_machine import CACHE, EPCACHE, SITE
from .rpm_payload import dist_info
from .rpm_steps import MOVING, STILL, directory, scripts

DATABASE = "/lib/apk/db/installed"
# Arguments: the script, then those that it gets.
APK = """
import os, sys
script = os.memfd_create("epcache-0.1.0-r0.trigger", 0)
os.write(script, open(sys.argv[1], "rb").read())
end, other = os.pipe()
os.close(other)
os.dup2(end, 0)
os.chdir("/")
path = f"/proc/self/fd/{script}"
variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APK_SCRIPT": "trigger", "APK_PACKAGE": "epcache"}
os.execve(path, ["lib/apk/exec/epcache-0.1.0-r0.trigger", *sys.argv[2:]], variables)
"""

ALPHA = dist_info(SITE, "alpha", "1.0", scripts("alpha", "main"))
ALPHA_2 = dist_info(SITE, "alpha", "2.0", scripts("alpha", "start"))
BETA = dist_info(SITE, "beta", "1.0", scripts("beta", "one"))
BETA_REBUILT = dist_info(SITE, "beta", "1.0", scripts("beta", "two"), format="2.4")
# Has entry points only after a rebuild: an old index says that there are none.
DELTA = dist_info(SITE, "delta", "1.0")
DELTA_REBUILT = dist_info(SITE, "delta", "1.0", scripts("delta", "main"))
BEFORE = ["trigger", "apk", "--before"]
AFTER = ["trigger", "apk"]


class Machine(rpm_machine.Machine):
    """A system with our program, which dpkg has installed and no package manager touches afterwards."""

    #: After each step of apk, in seconds.
    pause = 0.0

    def __init__(self, system):
        super().__init__(system)
        system.path(DATABASE).parent.mkdir(parents=True)
        for script in (chroot.CHECKOUT / "packaging/apk").glob("epcache.*"):
            copy = system.path(f"/srv/{script.name}")
            copy.write_bytes(script.read_bytes())
            copy.chmod(0o755)

    def script(self, name, *arguments):
        place = f"/trace/{time.monotonic_ns()}"
        command = ["python3", "-I", "-c", APK, f"/srv/epcache.{name}", *arguments]
        done = self.system.run(*trace.command(place), *command)
        assert (done.stdout, done.stderr) == ("", "")
        runs = trace.runs(self.system.path(place), EPCACHE, str(self.system.root))
        for run in runs:
            assert run.privileged_accesses([CACHE, SITE]) == [], run.argv
        return rpm_machine.Transaction(0, "", runs)

    def files(self, new=None, old=None):
        """Write the files of `new`, then remove those of `old` that are no longer part of the package."""
        for path, text in new.files.items() if new else ():
            target = self.system.path(path)
            if not target.parent.exists():
                target.parent.mkdir(parents=True)
                time.sleep(self.pause)
            written = target.with_name(".apk.0123456789abcdef")
            written.write_text(text)
            written.rename(target)
            time.sleep(self.pause)
        for path in old.files if old else ():
            if not new or path not in new.files:
                self.system.path(path).unlink()
                time.sleep(self.pause)
        if old and not (new and new.owned == old.owned):
            self.system.path(old.owned[0]).rmdir()
            time.sleep(self.pause)

    def write_database(self):
        new = self.system.path(f"{DATABASE}.new")
        new.write_text(f"written at {time.time()}\n")
        new.rename(self.system.path(DATABASE))

    def hook(self, stage):
        """The arguments with which the commit hook called us."""
        return [run.argv[1:] for run in self.script("commit-hook", stage).runs]

    def replay(self, new=None, old=None):
        assert self.hook("pre-commit") == [BEFORE]
        self.files(new, old)
        done = self.script("trigger", SITE)
        self.write_database()
        assert self.hook("post-commit") == [AFTER]
        return done

    def state(self):
        states = json.loads(self.system.run(EPCACHE, "status", "--json", check=False).stdout)
        return next(state["state"] for state in states if state["site"] == SITE)


@pytest.fixture(scope="module")
def machine(debian):
    # The reader, where this system's site directory is.
    debian.run("sh", "-c", f"mkdir -p {SITE} && cp -a {debian_system.SITE}/epcache* {SITE}")
    yield Machine(debian)
    debian.run("rm", "-r", SITE)


@pytest.mark.covers("apk", "install", "upgrade", "same version", "removal")
def test_index_is_right_after_each_call_of_apk(machine):
    machine.files(ALPHA)
    # On its own installation, with the directories that are there, or none.
    for arguments in ([SITE], []):
        assert machine.script("trigger", *arguments).runs[0].argv[1:] == ["trigger", "apk", *arguments]
        machine.assert_right(SITE)
    assert machine.replay(BETA).read(SITE) == {directory(BETA)}
    machine.assert_right(SITE)
    assert machine.replay(ALPHA_2, ALPHA).read(SITE) == {directory(ALPHA_2)}
    machine.assert_right(SITE)
    assert machine.replay(BETA_REBUILT, BETA).read(SITE) == {directory(BETA)}
    machine.assert_right(SITE)
    assert machine.replay(old=ALPHA_2).read(SITE) == set()
    machine.assert_right(SITE)


def test_the_database_unseals_a_sealed_index(machine):
    machine.files(BETA)
    machine.write_database()
    # Unpacked from an archive with this tree.
    machine.system.run("touch", "/var/lib/dpkg/status")
    machine.system.run(EPCACHE, "refresh", "--system", "--seal")
    assert DATABASE.encode() in index_reader.parse(machine.index(SITE).read_bytes()).seal.witnesses
    time.sleep(1.1)
    # With --no-scripts no trigger runs.
    machine.files(BETA_REBUILT, BETA)
    machine.write_database()
    assert machine.state() == "stale"
    machine.assert_answers_right(SITE)


def test_a_transaction_that_changes_no_site_directory_leaves_a_fresh_index(machine):
    machine.replay(BETA)
    assert machine.hook("pre-commit") == [BEFORE]
    assert machine.state() == "stale"
    machine.write_database()
    assert machine.hook("post-commit") == [AFTER]
    machine.assert_right(SITE)


@pytest.mark.covers("apk", "killed")
@pytest.mark.parametrize("is_called", [True, False], ids=["with the hook", "without it"])
def test_after_a_killed_transaction_readers_read_what_is_there(machine, is_called):
    """apk has put the files in place, and has not run the trigger. Without the hook before, an old index would be taken
    for a right one."""
    machine.replay(DELTA)
    machine.assert_right(SITE)
    if is_called:
        machine.hook("pre-commit")
    machine.files(DELTA_REBUILT, DELTA)
    found = {name for _, name, _ in machine.reader(SITE, strict=False)["answer"]}
    assert ("delta" in found) == is_called
    if is_called:
        machine.assert_answers_right(SITE)
    machine.replay(BETA)
    machine.assert_right(SITE)
    machine.replay(old=DELTA_REBUILT)


@pytest.mark.covers("apk", "readers")
def test_readers_get_what_is_there_while_apk_works(machine, monkeypatch):
    """Each step lasts long enough to be read (see upgrade_reader.py)."""
    machine.replay(STILL)
    monkeypatch.setattr(machine, "pause", 0.2)

    def work():
        # The last one removes it.
        for old, new in zip([None, *MOVING], [*MOVING, None]):
            machine.replay(new, old)

    machine.check_beside(work, machine.pause)
    machine.assert_right(SITE)


@pytest.mark.covers("apk", "failed")
@pytest.mark.parametrize("script", [f"trigger {SITE}", "commit-hook pre-commit", "commit-hook post-commit"])
def test_where_the_program_can_not_run_the_indexes_are_removed(machine, script):
    machine.replay(BETA)
    machine.assert_right(SITE)
    with rpm_faults.program_that_cannot_run(machine):
        machine.system.run("sh", "-c", f"/srv/epcache.{script}")
        assert not machine.index(SITE).exists()
    machine.replay(BETA)
    machine.assert_right(SITE)


def test_before_our_package_is_removed_its_indexes_are(machine):
    machine.replay(BETA)
    machine.script("pre-deinstall", "0.1.0-r0")
    assert list(machine.system.path(CACHE).iterdir()) == []
    machine.assert_reader_right(SITE)
