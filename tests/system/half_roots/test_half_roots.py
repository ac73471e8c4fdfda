"""All commands in all environments, as a table."""

import fcntl
import json
import os
import pathlib
import platform
import shutil
import subprocess
import time

import pytest
from support.checkout import debug_program
from support.directories import open_directory

USER = 1000
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
NO_CAPABILITIES = ["--bounding-set=-all", "--inh-caps=-all"]

#: The way to start a program, the owner of the environment, and the groups that a process can't leave there.
ENVIRONMENTS = {
    "root": ([], 0, None),
    "user": (AS_USER, USER, None),
    "namespace of root": (["unshare", "--map-root-user"], 0, None),
    "namespace of a user": ([*AS_USER, "unshare", "--map-root-user"], USER, None),
    "without setuid and setgid": (["setpriv", "--bounding-set=-setuid,-setgid"], 0, None),
    "without capabilities": (["setpriv", "--no-new-privs", *NO_CAPABILITIES], 0, None),
    "with groups": (["setpriv", "--groups=0,4,27", *NO_CAPABILITIES], 0, "4, 27"),
    "with another group": (["setpriv", "--regid=7", "--clear-groups", *NO_CAPABILITIES], 0, "7"),
    "fakeroot": (["fakeroot"], 0, None),
    "fakeroot of a user": ([*AS_USER, "fakeroot"], USER, None),
    "fakeroot in a namespace": (["unshare", "--map-root-user", "fakeroot"], 0, None),
    "proot": (["proot", "-0"], 0, None),
    "proot of a user": ([*AS_USER, "proot", "-0"], USER, None),
    "emulator": (["qemu-x86_64-static"], 0, None),
    "emulator of a user": ([*AS_USER, "qemu-x86_64-static"], USER, None),
    "emulator of root, for a user": (["qemu-x86_64-static"], USER, None),
}

COMMANDS = [
    "refresh {site}",
    "refresh --seal {site}",
    "refresh --dry-run {site}",
    "refresh --venv {venv}",
    "refresh --python {venv}/bin/python3",
    "enable --accelerate {site}",
    "disable {site}",
    "list --json --site {site}",
    "verify {site}",
    "status {site}",
    "run {site} -- true",
]


def pytest_generate_tests(metafunc):
    if "environment" in metafunc.fixturenames:
        metafunc.parametrize("environment", ENVIRONMENTS)


@pytest.fixture(autouse=True)
def _needs_root():
    if os.geteuid() != 0:
        pytest.skip("needs root, to start programs as another user and without capabilities")


@pytest.fixture
def place():
    with open_directory("epcache-half-roots-") as directory:
        yield directory


@pytest.fixture(scope="session")
def program():
    """A copy that every user may run."""
    with open_directory("epcache-half-roots-") as directory:
        yield shutil.copy(debug_program(), directory / "epcache")


@pytest.fixture(scope="session")
def environments():
    """An environment of the caller for each way to start a program, all so old that they can be sealed."""
    with open_directory("epcache-half-roots-") as directory:
        made = {}
        for number, (environment, (_, owner, _)) in enumerate(ENVIRONMENTS.items()):
            made[environment] = make_environment(directory / str(number), owner)
        time.sleep(3.1)
        yield made


def install(site, name):
    directory = site / f"{name}-1.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (directory / "entry_points.txt").write_text(f"[g]\n{name} = m:f\n")
    (directory / "RECORD").write_text("")
    (directory / "INSTALLER").write_text("pip\n")


def make_environment(place, owner):
    venv = place / "venv"
    site = venv / "lib/python3.11/site-packages"
    install(site, "foo")
    (site / "epcache_startup").mkdir()
    (site / "epcache_startup/__init__.py").write_text("")
    (venv / "bin").mkdir()
    (venv / "bin/python3").symlink_to("/usr/bin/python3")
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for path in [venv, *venv.rglob("*")]:
        os.lchown(path, owner, owner)
    return venv, site


def start(environment, *command):
    start = ENVIRONMENTS[environment][0]
    if "qemu-x86_64-static" in start and platform.machine() != "x86_64":
        pytest.skip("the emulator is that of another machine")
    variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
    command = [*start, *map(str, command)]
    return subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True, timeout=60)


@pytest.mark.covers("half-root", "install")
def test_every_command_works_on_an_environment_of_the_caller(environments, program, environment):
    _, owner, groups = ENVIRONMENTS[environment]
    venv, site = environments[environment]
    for command in COMMANDS:
        # proot fails itself at a link that is read by its descriptor. Below the fakeroot of real root, the process
        # that asks the interpreter as nobody can't reach fakeroot.
        if "--python" in command and (environment.startswith("proot") or environment == "fakeroot"):
            continue
        done = start(environment, program, *command.format(site=site, venv=venv).split())
        assert done.returncode == 0, (command, done)
        assert "epcache: error" not in done.stderr, (command, done)
        if groups is not None and not command.startswith("run"):
            # Once, although `enable` starts two processes.
            expected = f"not confined by groups: the kernel does not let this process leave {groups}"
            assert done.stderr.count(expected) == 1, (command, done)
        if command.startswith("list"):
            assert [row["name"] for row in json.loads(done.stdout)] == ["foo"]
    index = site / ".epcache/index"
    assert (index.stat().st_uid, index.stat().st_mode & 0o7777) == (owner, 0o644)


def test_status_says_what_could_not_be_given_up(program, environment):
    done = start(environment, program, "status", "--sandbox", "--json")
    found = json.loads(done.stdout)
    groups = ENVIRONMENTS[environment][2]
    assert (found["groups"]["state"] == "missing") == (groups is not None), found
    if groups is not None:
        assert found["groups"]["detail"].endswith(groups)
    if environment.startswith("emulator"):
        assert found["limits"]["state"] == "partial"
        assert "RLIMIT_DATA: no effect" in found["limits"]["detail"]
    complete = all(found[part]["state"] == "enforced" for part in ("groups", "landlock", "seccomp", "limits"))
    assert done.returncode == (0 if complete else 1)


@pytest.mark.parametrize("bound", ["namespace of root", "without capabilities"])
def test_nothing_is_done_for_another_user_whom_root_can_not_become(place, program, bound):
    _, site = make_environment(place, USER)
    before = site.stat()
    # In the namespace, the user has no number.
    seen = 65534 if bound.startswith("namespace") else USER
    for command in ["refresh", "list --site", "status", "verify", "enable --accelerate"]:
        done = start(bound, program, *command.split(), site)
        assert done.returncode == 3, (command, done)
        assert f"{site}: the kernel does not let this process become the user {seen}; hint: " in done.stderr
    assert not (site / ".epcache").exists()
    assert site.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("bound", ["namespace of root", "without capabilities"])
def test_root_that_can_not_become_the_cache_user_writes_no_system_wide_index(place, program, bound):
    site = place / "usr/lib/python3/dist-packages"
    install(site, "foo")
    (place / "etc").mkdir()
    (place / "etc/passwd").write_text("root:x:0:0::/:\nepcache:x:7:7::/:/usr/sbin/nologin\n")
    cache = place / "var/cache/epcache"
    cache.mkdir(parents=True)
    root = ["--system", "--root", place]
    done = start(bound, program, "refresh", *root)
    assert done.returncode == 3
    assert f"{site}: the kernel does not let this process become the user 7; hint: " in done.stderr
    assert not list(cache.iterdir())
    # Reading needs nobody else.
    done = start(bound, program, "list", "--json", *root)
    assert done.returncode == 0 and "foo" in done.stdout, done
    # An index that was made elsewhere does not stay believed.
    index = cache / "usr/lib/python3/dist-packages/index"
    index.parent.mkdir(parents=True)
    index.write_text("an old one")
    before = site.stat().st_mtime_ns
    done = start(bound, "env", f"DPKG_ROOT={place}", program, "trigger", "dpkg")
    assert done.returncode == 0 and "the kernel does not let this process become the user 7" in done.stderr, (
        done
    )
    assert site.stat().st_mtime_ns > before


@pytest.mark.parametrize("bound", ["namespace of root", "with groups"])
def test_the_process_that_reads_metadata_has_no_capability(place, program, bound):
    _, site = make_environment(place, 0)
    (site / ".epcache").mkdir()
    descriptor = os.open(site / ".epcache/lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    command = [*ENVIRONMENTS[bound][0], program, "refresh", site]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as parent:
        worker = waiting_for_the_lock(parent.pid)
        status = dict(line.split(":\t", 1) for line in (worker / "status").read_text().splitlines())
        os.close(descriptor)
        assert parent.wait() == 0
    for kind in ["CapInh", "CapPrm", "CapEff", "CapAmb"]:
        assert status[kind] == "0" * 16, (kind, status)
    assert status["NoNewPrivs"] == "1"


def waiting_for_the_lock(parent):
    """The directory below /proc of a child of this process that has opened the lock."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            worker = pathlib.Path("/proc", child)
            try:
                if any(os.readlink(link).endswith("/lock") for link in (worker / "fd").iterdir()):
                    return worker
            except FileNotFoundError:
                continue
        time.sleep(0.001)
    raise AssertionError("no process waits for the lock")
