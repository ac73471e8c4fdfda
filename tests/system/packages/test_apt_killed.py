"""dpkg, killed in its middle: readers read what is there, and `dpkg --configure -a` brings the index up to date.

What changes is a rebuild of the same version, after which the site directory looks as before.
"""

import itertools
import shutil

import pytest

from . import chroot, deb
from . import debian_system as debian
from .debian_system import SITE, assert_index_right

PLACE = f"{SITE}/plug-1.0.dist-info"
NAMES = ["METADATA", "INSTALLER", "entry_points.txt"]
# Calls by which dpkg writes the three files and puts them in place, and None, when all of them are: it is killed while
# it configures the package, before it runs a trigger.
STEPS = [("openat", 1), ("openat", 3), ("rename", 1), ("rename", 2), ("rename", 3), None]
KILL = "#!/bin/sh\n[ -e /srv/killed ] || { touch /srv/killed; kill -9 $PPID; }\n"

revisions = itertools.count(1)


@pytest.fixture(scope="module")
def system():
    with chroot.unpacked("trixie", [*debian.BASE, "passwd", "python3-setuptools"], update=False) as system:
        for file in [*deb.epcache_packages(), debian.HERE / "reader_check.py"]:
            shutil.copy(file, system.path("/srv"))
        system.run("sh", "-c", "dpkg --install /srv/*.deb")
        yield system


def package(system, entry_points, scripts=None):
    files = {**deb.dist_info(SITE, "plug", "1.0", entry_points), **(scripts or {})}
    return f"/srv/{deb.payload(system.path('/srv'), 'python3-plug', f'1.0-{next(revisions)}', files).name}"


def kill(system, step, entry_points):
    """Install another build of the package, and kill dpkg at this step."""
    system.path("/srv/killed").unlink(missing_ok=True)
    if step:
        scripts = None
        call, number = step
        watched = [
            word for name in NAMES for word in ("-P", f"{PLACE}/{name}", "-P", f"{PLACE}/{name}.dpkg-new")
        ]
        command = ["strace", "-qq", "-o", "/dev/null", *watched, "-e", f"trace={call}"]
        command += ["-e", f"inject={call}:signal=KILL:when={number}"]
    else:
        # Nothing kills the first process of a namespace from within.
        command, scripts = ["sh", "-c", '"$0" "$@"; exit $?'], {"DEBIAN/postinst": KILL}
    ended = system.run(*command, "dpkg", "--install", package(system, entry_points, scripts), check=False)
    assert ended.returncode == 137, (step, ended.stderr)


@pytest.mark.covers("apt", "killed")
@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(map(str, step or ["configure"])))
def test_after_a_killed_dpkg_readers_read_what_is_there(system, step):
    system.run("dpkg", "--install", package(system, "[plugs]\nplug = plug:one\n"))
    assert_index_right(system)
    kill(system, step, "[plugs]\nplug = plug:two\n")
    debian.assert_reader_is_right(debian.answers(system))
    system.run("dpkg", "--configure", "-a")
    assert_index_right(system)


def test_after_a_killed_dpkg_its_next_run_finds_the_first_entry_points(system):
    """Until then, an index that says that there are none is believed."""
    system.run("dpkg", "--install", package(system, ""))
    assert_index_right(system)
    kill(system, None, "[plugs]\nplug = plug:three\n")
    assert ["plugs", "plug", "plug:three"] not in debian.answers(system)["found"]
    system.run("dpkg", "--configure", "-a")
    assert ["plugs", "plug", "plug:three"] in debian.answers(system)["found"]
    assert_index_right(system)
