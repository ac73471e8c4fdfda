"""The packages that the rpm tests install, the steps, and the machines that they run on.

conftest.py offers the fixtures to the tests.
"""

import concurrent.futures
from pathlib import Path

import pytest
from support import private_mounts

from . import hook_package, rpm_build, rpm_machine, rpm_payload
from .rpm_machine import CACHE, PYTHON, SITE, SITE64
from .rpm_payload import dist_info

SUITES = ["bookworm", "trixie", "sid"]
OURS = ["epcache.rpm", "python3-epcache.rpm"]
# Files that no process may open while it could still be root.
GUARDED = [CACHE, SITE, SITE64, "/usr/lib/python3/dist-packages", "/usr/lib/python3.11/site-packages"]


KILL = "%post\nkill -9 $PPID\n"


def scripts(name, target):
    return f"[console_scripts]\n{name} = {name}:{target}\n\n[plugins]\n{name}.x = {name}.plugin\n"


ALPHA = dist_info(SITE, "alpha", "1.0", scripts("alpha", "main"))
ALPHA_2 = dist_info(SITE, "alpha", "2.0", scripts("alpha", "start"))
BETA = dist_info(SITE, "beta", "1.0", scripts("beta", "one"))
# Every file has the former size and mtime, and no name in SITE is new: only a stamp that
# the package can't choose shows that this is another build.
BETA_REBUILT = dist_info(SITE, "beta", "1.0", scripts("beta", "two"), format="2.4", release="2")
# Another build of the same package, with another value of the same length.
BETA_AGAIN = dist_info(SITE, "beta", "1.0", scripts("beta", "six"), release="2", build="again")
GAMMA = dist_info(SITE, "gamma", "1.0", scripts("gamma", "main"))
# Has entry points only after a rebuild: an old index says that there are none.
DELTA = dist_info(SITE, "delta", "1.0")
DELTA_REBUILT = dist_info(SITE, "delta", "1.0", scripts("delta", "main"), release="2")
# The same, and kills the program that installs it, when its files are in place.
DELTA_KILLING = dist_info(SITE, "delta", "1.0", scripts("delta", "main"), release="2", build="killing")
DELTA_KILLING.scriptlets = KILL
# Upgrades for readers to watch, and a package beside them that does not change.
STILL = dist_info(SITE, "still", "1.0", "[probe]\nstill = still:run\n")
MOVING = [
    dist_info(SITE, "moving", version, entry_points, release=release)
    for version, release, entry_points in [
        ("1.0", "1", "[probe]\nfirst = moving:run\n"),
        ("2.0", "1", "[probe]\nsecond = moving:run\n[other]\nthird = moving:run\n"),
        # The same names, times and sizes.
        ("2.0", "2", "[probe]\nsecond = moving:ran\n[other]\nthird = moving:ran\n"),
        # Entry points that are there after a rebuild only: an old index says that there are none.
        ("3.0", "1", ""),
        ("3.0", "2", "[probe]\nfourth = moving:run\n"),
    ]
]
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
# Many files that are no distribution, and a private file of another package.
BIG = dist_info(SITE, "big", "1.0", scripts("big", "main"))
BIG.files |= {f"{SITE}/big/module_{number}.py": "" for number in range(2000)}
BIG.files[f"{SITE}/big/_vendor/inner-1.0.dist-info/METADATA"] = rpm_payload.metadata("inner", "1.0")
# rpm passes its file to the trigger, and it does not exist.
GHOST = dist_info(SITE, "ghost", "1.0", owns=False)
GHOST.ghosts = tuple(GHOST.files)
CANARY = rpm_payload.Payload("canary", scriptlets=f"%transfiletriggerin -- {SITE}\nexit 3\n")
# Fail when their transaction has begun: before a file is unpacked, and by a file in the way of a directory.
REFUSED = dist_info(SITE, "refused", "1.0", scripts("refused", "main"))
REFUSED.scriptlets = "%pre\nexit 1\n"
BLOCKED = dist_info(SITE, "blocked", "1.0", scripts("blocked", "main"))
BLOCKED.files["/srv/directory"] = ""
# Kills the program that installs it, after the others and before any trigger.
KILLER = rpm_payload.Payload("killer", requires=("beta", "delta", "gamma"), scriptlets=KILL)
RECORDER = rpm_payload.Payload("recorder", files=hook_package.FILES)
PAYLOADS = [
    ALPHA,
    ALPHA_2,
    BETA,
    BETA_REBUILT,
    BETA_AGAIN,
    GAMMA,
    DELTA,
    DELTA_REBUILT,
    DELTA_KILLING,
    LEFT,
    WIDE,
    NAMED,
    EGGS,
    FLOOR,
    BIG,
    GHOST,
    CANARY,
    REFUSED,
    BLOCKED,
    KILLER,
    RECORDER,
    STILL,
    *MOVING,
]


@pytest.fixture(scope="session")
def own_mounts():
    # In threads that end before the mounts begin, which belong to the calling thread alone.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(rpm_build.packages, rpm_build.TOOLS))
    private_mounts.begin()


@pytest.fixture(params=SUITES, scope="session")
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
        # The first use, or after a test that failed or that cleared the machine.
        machine.clear()
        install(machine, BETA, ALPHA, ours="first")
        machine.assert_right(SITE)
    return machine


@pytest.fixture
def managed(bare):
    """A machine on which nothing of ours is installed, with dnf and zypper."""
    if bare.system.suite != "sid":
        pytest.skip(
            "dnf and zypper are installed in sid alone, where a failing trigger is a failed transaction"
        )
    blocking = bare.system.path(next(path for path in BLOCKED.files if path.startswith("/srv/")))
    (blocking / "not empty").mkdir(parents=True, exist_ok=True)
    return bare


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
    """The name of the payload's only dist-info directory."""
    return Path(next(iter(payload.files))).parent.name
