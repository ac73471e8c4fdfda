"""pacman keeps the indexes right through our two hooks, also where a transaction fails or is killed.

After each step the index file itself, `epcache list` and the Python reader are compared with importlib.metadata of
the same system, as for rpm.
"""

import os
import time

import pytest
from support import index_reader, injection

from . import pacman_build, rpm_faults, rpm_machine
from .pacman_machine import MASK
from .rpm_machine import CACHE, EPCACHE, SITE
from .rpm_payload import Payload, dist_info
from .rpm_steps import directory, scripts

ALPHA = dist_info(SITE, "alpha", "1.0", scripts("alpha", "main"))
ALPHA_2 = dist_info(SITE, "alpha", "2.0", scripts("alpha", "start"))
BETA = dist_info(SITE, "beta", "1.0", scripts("beta", "one"))
# The site directory, and the size and mtime of each file, stay as they are.
BETA_REBUILT = dist_info(SITE, "beta", "1.0", scripts("beta", "two"), format="2.4", release="2")
# Has entry points only after a rebuild: an old index says that there are none.
DELTA = dist_info(SITE, "delta", "1.0")
DELTA_REBUILT = dist_info(SITE, "delta", "1.0", scripts("delta", "main"), release="2")
GAMMA = dist_info(SITE, "gamma", "1.0", scripts("gamma", "main"))
# Has a file that does not fit where SMALL is mounted.
HUGE = Payload("huge", files={"/small/file": "x" * (1 << 20)})
SMALL = [("tmpfs", "size=64k", "/small")]
PLAIN = Payload("plain", files={"/opt/plain": ""})
PAYLOADS = [ALPHA, ALPHA_2, BETA, BETA_REBUILT, GAMMA, DELTA, DELTA_REBUILT, HUGE, PLAIN]

BEFORE = ["trigger", "pacman", "--before"]
AFTER = ["trigger", "pacman"]


@pytest.fixture(scope="module")
def machine(arch):
    pacman_build.build(arch.system, PAYLOADS)
    return arch


@pytest.fixture
def bare(machine):
    machine.clear()
    return machine


@pytest.fixture
def ready(bare):
    """A machine on which our packages and three payloads are installed."""
    bare.install(ALPHA, BETA, DELTA, ours="first")
    bare.assert_right(SITE)
    return bare


def called(transaction):
    """The arguments with which the transaction called us."""
    return [run.argv[1:] for run in transaction.runs]


@pytest.mark.covers("pacman", "install", "upgrade", "same version", "removal")
def test_index_is_right_after_every_kind_of_transaction(bare):
    assert bare.install(ALPHA).runs == []

    # The package that is there is not in the transaction.
    first = bare.install(ours="first")
    assert called(first) == [AFTER]
    bare.assert_right(SITE)

    added = bare.install(BETA)
    assert called(added) == [BEFORE, AFTER] and added.read(SITE) == {directory(BETA)}
    bare.assert_right(SITE)

    upgraded = bare.install(ALPHA_2)
    assert called(upgraded) == [BEFORE, AFTER] and upgraded.read(SITE) == {directory(ALPHA_2)}
    bare.assert_right(SITE)

    stamp = bare.system.path(SITE).stat().st_mtime_ns
    rebuilt = bare.install(BETA_REBUILT)
    assert called(rebuilt) == [BEFORE, AFTER] and rebuilt.read(SITE) == {directory(BETA)}
    assert stamp != bare.system.path(SITE).stat().st_mtime_ns
    bare.assert_right(SITE)

    assert bare.install(BETA_REBUILT).read(SITE) == {directory(BETA)}
    bare.assert_right(SITE)

    bare.install(GAMMA, options=["--noscriptlet"])
    bare.assert_right(SITE)

    removed = bare.remove("gamma")
    assert called(removed) == [BEFORE, AFTER] and removed.read(SITE) == set()
    bare.assert_right(SITE)

    assert called(bare.install(PLAIN)) == []
    # The files of the package are not installed.
    assert called(bare.install(GAMMA, options=["--dbonly"])) == []
    assert called(bare.remove("gamma", options=["--dbonly"])) == []
    bare.assert_right(SITE)

    assert called(bare.install(ours="second"))[-1] == AFTER
    bare.assert_right(SITE)

    bare.remove("epcache")
    assert not os.path.lexists(bare.system.path(CACHE))
    assert not os.path.lexists(bare.system.path(f"{CACHE}.erased"))
    bare.assert_reader_right(SITE)


def test_everything_can_be_installed_at_once(bare):
    assert called(bare.install(BETA, ALPHA, ours="first")) == [AFTER]
    bare.assert_right(SITE)


@pytest.mark.covers("pacman", "failed")
def test_after_a_failed_transaction_readers_read_what_is_there(ready):
    """The disk is full in the second of two packages: the first has changed, and no hook runs."""
    failed = ready.pacman("-U", *paths(DELTA_REBUILT, HUGE), mounts=SMALL)
    assert failed.status != 0 and called(failed) == [BEFORE], failed.output
    assert ready.system.path(f"{SITE}/{directory(DELTA)}/entry_points.txt").exists()
    assert ready.state() == "stale"
    ready.assert_answers_right(SITE)
    ready.install(GAMMA)
    ready.assert_right(SITE)


def paths(*payloads):
    return [f"/payloads/{pacman_build.file_name(payload)}" for payload in payloads]


# A program that asks, and once more when `delta` was replaced.
ASKS_TWICE = f"""
import os, sys, time
sys.path[:] = [*(entry for entry in sys.path if not entry.endswith("-packages")), "{SITE}"]
import epcache
for file in ("/srv/asked", "/srv/end"):
    print(*sorted(point.name for point in epcache.entry_points(group="plugins")))
    open(file, "w").close()
    while not os.path.exists("/srv/replaced"):
        time.sleep(0.05)
"""


def test_a_running_program_sees_what_a_failing_transaction_replaces(ready):
    """It asks while the transaction runs, for so long that it would keep what it has proven. No trigger follows."""
    script = """
        set -e
        $0 trigger pacman --before
        sleep 3.1
        python3 -I -W ignore -c "$1" & program=$!
        until [ -e /srv/asked ]; do sleep 0.05; kill -0 $program; done
        printf '[plugins]\ndelta.x = delta:run\n' >"$2/entry_points.txt"
        touch /srv/replaced
        wait $program
    """
    place = f"{SITE}/{directory(DELTA)}"
    asked = ready.system.run("sh", "-c", script, EPCACHE, ASKS_TWICE, place)
    assert asked.stdout.splitlines() == ["alpha.x beta.x", "alpha.x beta.x delta.x"]


# The calls by which pacman replaces the two files of `delta` by three.
STEPS = [("unlink", 1), ("unlink", 2)]
STEPS += [(call, number) for call in ("openat", "write", "utimensat") for number in (1, 2, 3)]
FILES = [f"{SITE}/{directory(DELTA)}/{name}" for name in ("METADATA", "INSTALLER", "entry_points.txt")]


def kill(machine, call, number):
    """Rebuild `delta`, and kill pacman at this call."""
    ended = machine.system.run(
        *injection.killed(FILES, call, number),
        *["pacman", "--noconfirm", "-U", "--overwrite", "*", *paths(DELTA_REBUILT)],
        check=False,
    )
    assert ended.returncode == 137, ended.stderr


def repair(machine):
    """Install `delta` as it was, whatever a killed pacman has left."""
    script = """
        if [ -d /kept ]; then rm -rf /var/lib/pacman; cp -a /kept /var/lib/pacman; else cp -a /var/lib/pacman /kept; fi
        rm -r "$1"
        exec pacman --noconfirm -U "$0"
    """
    machine.system.run("sh", "-c", script, *paths(DELTA), f"{SITE}/{directory(DELTA)}")
    assert machine.state() == "fresh"


@pytest.mark.covers("pacman", "killed")
@pytest.mark.parametrize("is_masked", [False, True], ids=["with the first hook", "without it"])
def test_after_a_killed_transaction_readers_read_what_is_there(ready, is_masked):
    """Without the hook before the transaction, an old index would be taken for a right one."""
    if is_masked:
        ready.system.path(MASK).symlink_to("/dev/null")
    ready.system.run("rm", "-rf", "/kept")
    wrong = []
    for step in STEPS:
        repair(ready)
        kill(ready, *step)
        try:
            ready.assert_reader_right(SITE)
        except AssertionError:
            wrong.append(step)
    assert bool(wrong) == is_masked, wrong


def test_removing_our_package_without_scripts_leaves_no_index_that_is_believed(ready):
    removed = ready.remove("epcache", options=["--noscriptlet"])
    assert called(removed) == [BEFORE]
    assert ready.index(SITE).exists()
    for payload in (BETA_REBUILT, ALPHA_2):
        assert called(ready.install(payload)) == []
        ready.assert_reader_right(SITE)


def test_where_the_program_can_not_run_the_indexes_are_removed(ready):
    with rpm_faults.program_that_cannot_run(ready):
        done = ready.pacman("-U", *paths(BETA_REBUILT))
        assert done.status == 0, done.output
        assert not ready.index(SITE).exists()
    ready.install(ALPHA)
    ready.assert_right(SITE)


def test_our_hooks_run_in_the_root_of_the_transaction(bare):
    """Images are made with `pacman --root`. Nothing of /proc and /dev is there."""
    machine = bare
    libraries = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libcap-ng.so.0"]
    script = f"""
        set -eu
        rm -rf /tree
        mkdir -p /tree/bin /tree/etc /tree/lib64 /tree/lib/x86_64-linux-gnu /tree/usr/bin /tree/var/lib/pacman /tree/tmp
        mkdir -p /tree{CACHE}
        cp -L /bin/sh /tree/bin/sh
        cp -L /lib64/ld-linux-x86-64.so.2 /tree/lib64/
        for library in {" ".join(libraries)}; do cp -L /lib/x86_64-linux-gnu/$library /tree/lib/x86_64-linux-gnu/; done
        echo root:x:0:0::/root:/bin/sh >/tree/etc/passwd
        echo epcache:x:970:970::/nonexistent:/usr/sbin/nologin >>/tree/etc/passwd
        chown 970:970 /tree{CACHE}
    """
    machine.system.run("sh", "-c", script)
    tree = machine.system.path("/tree")
    for files in (machine.ours["first"], paths(ALPHA), paths(BETA), paths(BETA_REBUILT)):
        done = machine.pacman("--root", "/tree", "-U", "-dd", *files)
        assert done.status == 0 and "error" not in done.output, done.output
        assert not os.path.lexists(tree / "dev/null")
    index = tree / f"{CACHE}{SITE}/index".lstrip("/")
    found = index_reader.parse(index.read_bytes())
    assert rpm_machine.described(found) == rpm_machine.expected(machine.by_importlib(SITE, "/tree"))
    assert index.stat().st_uid == 970
    # Nothing of the system around it was touched.
    assert not machine.system.path(f"{CACHE}{SITE}/index").exists()


def test_a_transaction_unseals_a_sealed_index(ready):
    # Unpacked from an archive with this tree.
    ready.system.run("touch", "/var/lib/dpkg/status")
    ready.system.run(EPCACHE, "refresh", "--system", "--seal")
    assert ready.state() == "fresh"
    assert b"/var/lib/pacman/local" in index_reader.parse(ready.index(SITE).read_bytes()).seal.witnesses
    time.sleep(1.1)
    # No hook runs, as in an image that has the packages and not us.
    assert called(ready.install(PLAIN)) == []
    assert ready.state() == "stale"
    ready.assert_answers_right(SITE)
