"""Programs that read while dpkg upgrades a package: between unpacking and trigger as at any other time, they get
what plain importlib.metadata gives at that moment, and never an error of ours.

strace delays each step of dpkg, so that every state of the directory lasts long enough to be read (see
upgrade_reader.py).
"""

import json
import shutil

import pytest

from . import chroot, deb
from . import debian_system as debian
from .debian_system import SITE, assert_index_right

DELAY = 0.1  # s
STEPS = "rename,renameat,renameat2,unlink,unlinkat,rmdir,link"

# The calls by which the files of the distribution come and go.
FILES = [
    "",
    *(f"/{name}{new}" for name in ("METADATA", "INSTALLER", "entry_points.txt") for new in ("", ".dpkg-new")),
]
PATHS = " ".join(
    f"-P {SITE}/moving-{version}.dist-info{file}" for version in ("1.0", "2.0") for file in FILES
)
# $1: the delay in microseconds, $2: in seconds; then the packages that are installed, one after the other.
SCRIPT = f"""
set -eu
delay=$1 limit=$2; shift 2
slowly() {{
    strace -f -qq -o /dev/null {PATHS} -e trace={STEPS} -e inject={STEPS}:delay_exit=$delay dpkg --force-unsafe-io "$@"
}}
python3 -I /srv/upgrade_reader.py {SITE} {debian.INDEX} /srv/ready /srv/stop "$limit" moving still >/srv/answers 2>/srv/errors &
reader=$!
until [ -e /srv/ready ]; do sleep 0.05; kill -0 $reader; done
for package; do slowly --install "$package"; done
slowly --remove moving
touch /srv/stop
wait $reader
"""


@pytest.fixture(scope="module")
def system():
    with chroot.unpacked("trixie", [*debian.BASE, "passwd", "python3-setuptools"], update=False) as system:
        for file in [*deb.epcache_packages(), debian.HERE / "upgrade_reader.py"]:
            shutil.copy(file, system.path("/srv"))
        system.run("sh", "-c", "dpkg --install /srv/*.deb")
        yield system


def package(system, name, version, revision, entry_points):
    files = deb.dist_info(SITE, name, version, entry_points)
    # No module beside the others: the times of the site directory would tell that something changes.
    files[f"{SITE}/{name}/__init__.py"] = "def run(): pass\n"
    return deb.payload(system.path("/srv"), name, f"{version}-{revision}", files).name


@pytest.mark.covers("apt", "readers")
def test_readers_get_what_is_there_while_dpkg_works(system):
    steps = [
        # Beside it, nothing changes.
        package(system, "still", "1.0", 1, "[probe]\nstill = still:run\n"),
        package(system, "moving", "1.0", 1, "[probe]\nfirst = moving:run\n"),
        # Another directory.
        package(system, "moving", "2.0", 1, "[probe]\nsecond = moving:run\n[other]\nthird = moving:run\n"),
        # The same names, times and sizes: the site directory looks as before.
        package(system, "moving", "2.0", 2, "[probe]\nsecond = moving:ran\n[other]\nthird = moving:ran\n"),
        package(system, "moving", "1.0", 3, "[probe]\nfirst = moving:run\n"),
    ]
    system.run("dpkg", "--install", f"/srv/{steps[0]}")
    assert_index_right(system)
    system.run(
        "sh",
        "-c",
        SCRIPT,
        "script",
        int(DELAY * 1e6),
        DELAY,
        *(f"/srv/{name}" for name in steps[1:]),
        timeout=120,
    )
    errors = system.path("/srv/errors").read_text()
    answers = json.loads(system.path("/srv/answers").read_text())
    assert answers["wrong"] == [], errors
    assert min(answers["judged"]) > 5 and answers["states"] > 8, answers
    assert_index_right(system)
