"""rpm of three Debian releases keeps the indexes right through our file triggers.

bookworm has rpm 4.18, trixie 4.20, sid 6: from 6 on a trigger that fails makes the
transaction fail. After each step the index file itself, `epcache list` and the Python
reader are compared with importlib.metadata of the same system.
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import index_file
import private_mounts
import pytest
import rpm_build
import rpm_faults
import rpm_machine
import rpm_payload
import trace
from rpm_machine import CACHE, EPCACHE, PYTHON, SITE, SITE64
from rpm_payload import OLD, dist_info

SUITES = ["bookworm", "trixie", "sid"]
OURS = ["epcache.rpm", "python3-epcache.rpm"]
# What nobody may open who could still be root.
GUARDED = [CACHE, SITE, SITE64, "/usr/lib/python3/dist-packages", "/usr/lib/python3.11/site-packages"]


def scripts(name, target):
    return f"[console_scripts]\n{name} = {name}:{target}\n\n[plugins]\n{name}.x = {name}.plugin\n"


ALPHA = dist_info(SITE, "alpha", "1.0", scripts("alpha", "main"))
ALPHA_2 = dist_info(SITE, "alpha", "2.0", scripts("alpha", "start"))
BETA = dist_info(SITE, "beta", "1.0", scripts("beta", "one"))
# Every file as long and as old as before, and no name in SITE new: only a stamp that
# the package can't choose tells that this is another build.
BETA_REBUILT = dist_info(SITE, "beta", "1.0", scripts("beta", "two"), format="2.4", release="2")
GAMMA = dist_info(SITE, "gamma", "1.0", scripts("gamma", "main"))
LEFT = dist_info(SITE, "left", "1.0", scripts("left", "main"), owns=False)
WIDE = dist_info(SITE64, "wide", "1.0", scripts("wide", "main"))
NAMED = dist_info(SITE, "sp ace näme", "1.0", "[plugins]\nsp ace = ünï.x:y\n", package="named")
EGG = f"{SITE}/egg-1.0-py{PYTHON}.egg-info"
EGGS = rpm_payload.Payload(
    "eggs",
    files={
        f"{EGG}/PKG-INFO": rpm_payload.metadata("egg", "1.0"),
        f"{EGG}/entry_points.txt": scripts("egg", "main"),
        f"{SITE}/flat-1.0-py{PYTHON}.egg-info": rpm_payload.metadata("flat", "1.0"),
    },
    owned=(EGG,),
)
# Owns the site directory itself, so that rpm sets its modification time back.
FLOOR = rpm_payload.Payload("floor", owned=(SITE,))
# Many files that are no distribution, and one that is another's private affair.
BIG = dist_info(SITE, "big", "1.0", scripts("big", "main"))
BIG.files |= {f"{SITE}/big/module_{number}.py": "" for number in range(2000)}
BIG.files[f"{SITE}/big/_vendor/inner-1.0.dist-info/METADATA"] = rpm_payload.metadata("inner", "1.0")
# rpm names its file to the trigger, and there is none.
GHOST = dist_info(SITE, "ghost", "1.0", owns=False)
GHOST.ghosts = tuple(GHOST.files)
CANARY = rpm_payload.Payload("canary", scriptlets=f"%transfiletriggerin -- {SITE}\nexit 3\n")
PAYLOADS = [ALPHA, ALPHA_2, BETA, BETA_REBUILT, GAMMA, LEFT, WIDE, NAMED, EGGS, FLOOR, BIG, GHOST, CANARY]


@pytest.fixture(scope="module")
def own_mounts():
    # In threads, and those end before the mounts begin, which are the calling thread's alone.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(rpm_build.packages, rpm_build.TOOLS))
    private_mounts.begin()


@pytest.fixture(params=SUITES, scope="module")
def machine(request, own_mounts):
    with rpm_machine.running(request.param, PAYLOADS) as found:
        yield found


@pytest.fixture
def bare(machine):
    """A machine on which nothing of ours is installed, nor a payload."""
    machine.clear()
    return machine


@pytest.fixture
def ready(machine):
    """A machine on which our packages and two payloads are installed."""
    try:
        machine.assert_right(SITE)
    except (AssertionError, OSError):
        # The first to ask, or after a test that failed or that cleared the machine.
        machine.clear()
        install(machine, BETA, ALPHA, ours="first")
        machine.assert_right(SITE)
    return machine


def install(machine, *payloads, options=("-U",), ours=None, **how):
    files = [f"/payloads/{payload.filename}" for payload in payloads]
    files += [f"/ours/{ours}/{name}" for name in OURS if ours]
    return succeeded(machine.rpm(*options, *files, **how))


def erase(machine, *names):
    return succeeded(machine.rpm("-e", *names))


def succeeded(transaction):
    """What must hold for every transaction, whatever happened to the index."""
    assert transaction.status == 0, transaction.output
    assert "scriptlet failed" not in transaction.output
    for run in transaction.runs:
        assert run.privileged_accesses(GUARDED) == [], run.argv
    return transaction


def directory(payload):
    """The name of the payload's one dist-info directory."""
    return Path(next(iter(payload.files))).parent.name


def test_index_is_right_after_every_kind_of_transaction(bare):
    before = install(bare, ALPHA, EGGS)
    assert before.runs == []

    first = install(bare, ours="first")
    assert first.replaced(SITE)
    bare.assert_right(SITE)

    added = install(bare, BETA, WIDE)
    assert added.read(SITE) == {directory(BETA)} and added.read(SITE64) == {directory(WIDE)}
    bare.assert_right(SITE, SITE64)

    upgraded = install(bare, ALPHA_2)
    assert upgraded.read(SITE) == {directory(ALPHA_2)} and upgraded.read(SITE64) == set()
    bare.assert_right(SITE, SITE64)

    named = install(bare, NAMED)
    assert named.read(SITE) == {"sp ace näme-1.0.dist-info"}
    bare.assert_right(SITE)

    again = install(bare, ALPHA_2, options=["-U", "--replacepkgs"])
    assert again.read(SITE) == {directory(ALPHA_2)}
    bare.assert_right(SITE)

    erased = erase(bare, "alpha")
    assert erased.read(SITE) == set() and erased.replaced(SITE)
    bare.assert_right(SITE)

    # The trigger of the second prefix: rpm 4.18 would not run one stanza for both.
    erased = erase(bare, "wide")
    assert erased.read(SITE64) == set() and erased.replaced(SITE64)
    bare.assert_right(SITE, SITE64)

    big = install(bare, BIG, GHOST)
    assert big.read(SITE) == {directory(BIG)}
    bare.assert_right(SITE)

    upgraded = install(bare, GAMMA, ours="second")
    assert upgraded.replaced(SITE)
    bare.assert_right(SITE, SITE64)

    erase(bare, "epcache")
    assert not os.path.lexists(bare.system.path(CACHE))
    assert not os.path.lexists(bare.system.path(f"{CACHE}.erased"))
    assert bare.reader(SITE)["searched"]


def test_first_index_is_made_where_rpm_knows_of_no_distribution(bare):
    place = bare.system.path(f"{SITE}/alone-1.0.dist-info")
    place.mkdir(parents=True)
    (place / "METADATA").write_text(rpm_payload.metadata("alone", "1.0"))
    done = succeeded(bare.rpm("-U", "/ours/first/epcache.rpm"))
    assert [run.argv[1:] for run in done.runs] == [["refresh", "--system"]]
    index = index_file.parse(bare.index(SITE).read_bytes())
    assert [(row.name, row.version) for row in index.distributions.values()] == [("alone", "1.0")]


def test_erasing_our_package_follows_no_link(bare):
    install(bare, ALPHA, ours="first")
    precious = bare.system.path("/srv/precious/file")
    precious.parent.mkdir()
    precious.write_text("")
    uid, gid = bare.account()
    for directory in (precious, precious.parent):
        os.chown(directory, uid, gid)
    cache = bare.system.path(CACHE)
    for link in (cache / "link", cache / "usr/link"):
        link.symlink_to("/srv/precious")
        os.lchown(link, uid, gid)
    erase(bare, "epcache")
    assert precious.exists() and not os.path.lexists(cache)


def test_erasing_our_package_hides_indexes_that_it_cannot_remove(bare):
    install(bare, ALPHA, ours="first")
    program = bare.system.path("/usr/bin/setpriv")
    kept = program.rename(program.with_name("setpriv.kept"))
    try:
        erase(bare, "epcache")
    finally:
        kept.rename(program)
    assert not os.path.lexists(bare.system.path(CACHE))
    shutil.rmtree(bare.system.path(f"{CACHE}.erased"))


def test_trace_would_show_a_process_that_could_still_be_root(ready):
    """Every step of giving up root counts: without any of them the trace is not clean."""
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


def test_release_only_upgrade_is_seen(ready):
    install(ready, BETA, options=["-U", "--oldpackage", "--replacepkgs"])
    ready.assert_right(SITE)
    site, file = (ready.system.path(path) for path in (SITE, f"{SITE}/{directory(BETA)}/entry_points.txt"))
    old, site_old, text = file.stat(), site.stat(), file.read_text()
    upgraded = install(ready, BETA_REBUILT)
    new, site_new = file.stat(), site.stat()
    # Otherwise this is not the case that it is about.
    assert (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns) and text != file.read_text()
    assert site_old.st_mtime_ns == site_new.st_mtime_ns

    assert upgraded.read(SITE) == {directory(BETA)} and upgraded.replaced(SITE)
    ready.assert_right(SITE)


def test_erased_package_that_leaves_an_empty_directory_behind(ready):
    install(ready, LEFT)
    ready.assert_right(SITE)
    erase(ready, "left")
    left = ready.system.path(f"{SITE}/{directory(LEFT)}")
    assert list(left.iterdir()) == []
    ready.assert_right(SITE)
    # rpm knows nothing of this change; with the next transaction it is seen as well.
    left.rmdir()
    install(ready, ALPHA, options=["-U", "--replacepkgs"])
    ready.assert_right(SITE)


def test_site_directory_whose_modification_time_is_set_back(ready):
    site = ready.system.path(SITE)
    install(ready, FLOOR)
    assert site.stat().st_mtime == OLD
    ready.assert_right(SITE)
    install(ready, GAMMA)
    install(ready, FLOOR, options=["-U", "--replacepkgs"])
    assert site.stat().st_mtime == OLD
    ready.assert_right(SITE)
    erase(ready, "gamma", "floor")
    ready.assert_right(SITE)


def test_transaction_without_scripts_is_mended_by_refresh(ready):
    unseen = install(ready, GAMMA, options=["-U", "--noscripts"])
    assert unseen.runs == []
    ready.assert_truthful(SITE)
    assert ready.system.run(EPCACHE, "status", check=False).returncode == 1
    # A directory that was changed just now cannot be told from one that changes again.
    time.sleep(3.1)
    ready.system.run(EPCACHE, "refresh", "--system")
    ready.assert_right(SITE)
    erase(ready, "gamma")


@pytest.mark.parametrize(
    "fault",
    [
        rpm_faults.read_only,
        rpm_faults.full,
        rpm_faults.without_user,
        rpm_faults.broken_configuration,
        rpm_faults.program_that_cannot_run,
        rpm_faults.foreign_cache,
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
    # What is left from before must not count again when the fault is gone.
    assert answers(ready) == "two"
    ready.assert_truthful(SITE)
    install(ready, ALPHA, options=["-U", "--replacepkgs"])
    ready.assert_right(SITE)


def answers(machine):
    """Which build of `beta` the Python reader believes to be there. `epcache list` must
    agree, or say that it cannot tell."""
    read = {value for _, name, value in machine.reader(SITE, strict=False)["answer"] if name == "beta"}
    assert len(read) == 1
    said = machine.system.run(EPCACHE, "list", "--site", SITE, "--name", "beta", "--json", check=False)
    if said.returncode == 0:
        assert {entry["value"] for entry in json.loads(said.stdout)} == read
    else:
        assert "beta" not in said.stdout and said.stderr
    return read.pop().partition(":")[2]


def test_failing_trigger_fails_the_transaction_from_rpm_6_on(bare):
    """That the other tests see status 0 means something."""
    version = bare.system.run("rpm", "--version").stdout.split()[-1]
    assert (int(version.split(".")[0]) >= 6) == (bare.system.suite == "sid")
    assert bare.rpm("-U", f"/payloads/{CANARY.filename}").status == 0
    assert bare.rpm("-U", f"/payloads/{ALPHA.filename}").status == (1 if bare.system.suite == "sid" else 0)
    bare.rpm("-e", "--noscripts", "--notriggers", "canary")


def test_tree_without_proc_and_null_device(machine):
    """An image is made with `rpm --root`: the trigger runs in a bare tree."""
    libraries = ["libc.so.6", "libm.so.6", "libgcc_s.so.1"]
    script = f"""
        set -eu
        rm -rf /tree
        mkdir -p /tree/bin /tree/etc /tree/lib64 /tree/lib/x86_64-linux-gnu /tree/usr/bin /tree/var/tmp
        cp /bin/busybox /tree/bin/busybox
        for applet in sh find; do ln -s busybox /tree/bin/$applet; done
        cp -L /lib64/ld-linux-x86-64.so.2 /tree/lib64/
        for library in {" ".join(libraries)}; do cp -L /lib/x86_64-linux-gnu/$library /tree/lib/x86_64-linux-gnu/; done
        echo root:x:0:0::/root:/bin/sh >/tree/etc/passwd
        echo epcache:x:970:970::/nonexistent:/usr/sbin/nologin >>/tree/etc/passwd
        echo root:x:0: >/tree/etc/group
        echo epcache:x:970: >>/tree/etc/group
        rpm --root /tree -U /payloads/ground-1-1.rpm
    """
    machine.system.run("sh", "-c", script)
    tree = machine.system.path("/tree")
    for payload in ([], [ALPHA], [BETA], [BETA_REBUILT]):
        files = [f"/payloads/{found.filename}" for found in payload] or ["/ours/first/epcache.rpm"]
        done = machine.rpm("--root", "/tree", "-U", *files)
        print(done.output)
        assert done.status == 0, done.output
        assert not (tree / "proc").exists() and not os.path.lexists(tree / "dev/null")
    index = tree / f"{CACHE}{SITE}/index".lstrip("/")
    found = index_file.parse(index.read_bytes())
    assert rpm_machine.described(found) == rpm_machine.expected(machine.truth(SITE, "/tree"))
    assert index.stat().st_uid == 970
    shown = subprocess.run(["chroot", tree, EPCACHE, "list", "--site", SITE], capture_output=True, text=True)
    assert shown.returncode == 0 and "beta:two" in shown.stdout


def test_dnf_with_a_repository(bare):
    if bare.system.suite != "sid":
        pytest.skip("dnf5 is installed in sid alone, where a failing trigger is a failed transaction")
    script = "mkdir /repository && cp /payloads/*.rpm /ours/second/*.rpm /repository && createrepo_c -q /repository"
    bare.system.run("sh", "-c", script)
    options = ["-y", "--repofrompath=tests,file:///repository", "--repo=tests", "--setopt=tests.gpgcheck=0"]

    def dnf(*arguments):
        return succeeded(bare.transact("dnf5", *options, *arguments))

    dnf("install", "alpha-1.0", "epcache", "python3-epcache")
    bare.assert_right(SITE)
    added = dnf("install", "beta-1.0-1", "wide")
    assert added.read(SITE) == {directory(BETA)}
    bare.assert_right(SITE, SITE64)
    upgraded = dnf("upgrade", "alpha", "beta")
    assert upgraded.read(SITE) == {directory(ALPHA_2), directory(BETA)}
    bare.assert_right(SITE, SITE64)
    with rpm_faults.read_only(bare):
        dnf("remove", "alpha")
        bare.assert_truthful(SITE)
    dnf("remove", "wide")
    bare.assert_right(SITE, SITE64)
    dnf("remove", "epcache")
    assert not os.path.lexists(bare.system.path(CACHE))
