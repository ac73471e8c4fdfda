"""Programs that read while pacman works: at any time they get what plain importlib.metadata gives at that moment,
and never an error of ours.

strace delays each step of pacman, so that every state of the directory lasts long enough to be read (see
upgrade_reader.py).
"""

import json
import shutil

import pytest

from . import pacman_build
from .debian_system import HERE
from .rpm_machine import CACHE, SITE
from .rpm_payload import Payload, dist_info

DELAY = 0.2  # s
STEPS = "unlink,unlinkat,rmdir,mkdir,mkdirat,openat,write,rename,renameat,renameat2"


def moving(version, release, value):
    payload = dist_info(SITE, "moving", version, value, release=str(release))
    # Kept from one version to the next, so that it does not change the site directory's times.
    payload.files[f"{SITE}/moving/__init__.py"] = "def run(): pass\n"
    return payload


# Beside it, nothing changes.
STILL = dist_info(SITE, "still", "1.0", "[probe]\nstill = still:run\n")
FIRST = moving("1.0", 1, "[probe]\nfirst = moving:run\n")
SECOND = moving("2.0", 1, "[probe]\nsecond = moving:run\n[other]\nthird = moving:run\n")
# The same names, times and sizes.
REBUILT = moving("2.0", 2, "[probe]\nsecond = moving:ran\n[other]\nthird = moving:ran\n")
# Has entry points only after a rebuild: an old index says that there are none.
BARE = moving("3.0", 1, "")
FILLED = moving("3.0", 2, "[probe]\nfourth = moving:run\n")
# Does not fit into its file system.
HUGE = Payload("huge", files={"/small/file": "x" * (1 << 20)})
PAYLOADS = [STILL, FIRST, SECOND, REBUILT, BARE, FILLED, HUGE]

FILES = [
    f"{SITE}/moving-{version}.dist-info{file}"
    for version in ("1.0", "2.0", "3.0")
    for file in ("", "/METADATA", "/entry_points.txt")
]
# $1: the delay in microseconds, $2: in seconds; then one word a transaction: packages, separated by commas.
SCRIPT = f"""
set -eu
delay=$1 limit=$2; shift 2
slowly() {{
    strace -f -qq -o /dev/null {" ".join(f"-P {file}" for file in FILES)} \
        -e trace={STEPS} -e inject={STEPS}:delay_exit=$delay pacman --noconfirm --noprogressbar "$@"
}}
rm -f /srv/ready /srv/stop
python3 -I /srv/upgrade_reader.py {SITE} {CACHE}{SITE}/index /srv/ready /srv/stop "$limit" moving still \
    >/srv/answers 2>/srv/errors &
reader=$!
until [ -e /srv/ready ]; do sleep 0.05; kill -0 $reader; done
for packages; do
    case $packages in
        *huge*) ! slowly -U $(echo $packages | tr , ' ') ;;
        *) slowly -U $packages ;;
    esac
done
slowly -R moving
touch /srv/stop
wait $reader
"""


@pytest.mark.covers("pacman", "readers")
def test_readers_get_what_is_there_while_pacman_works(arch):
    machine = arch
    pacman_build.build(machine.system, PAYLOADS)
    shutil.copy(HERE / "upgrade_reader.py", machine.system.path("/srv"))
    machine.clear()
    machine.install(STILL, ours="first")
    machine.assert_right(SITE)
    # The last but one fails after `moving` has changed, and no hook runs.
    transactions = [[FIRST], [SECOND], [REBUILT], [BARE], [FILLED, HUGE], [SECOND]]
    words = [",".join(f"/payloads/{pacman_build.file_name(one)}" for one in each) for each in transactions]
    machine.system.run(
        *["sh", "-c", SCRIPT, "script", int(DELAY * 1e6), DELAY, *words],
        mounts=[("tmpfs", "size=64k", "/small")],
        timeout=180,
    )
    errors = machine.system.path("/srv/errors").read_text()
    answers = json.loads(machine.system.path("/srv/answers").read_text())
    assert answers["wrong"] == [], errors
    assert min(answers["judged"]) > 5 and answers["states"] > 8, answers
    machine.assert_right(SITE)
