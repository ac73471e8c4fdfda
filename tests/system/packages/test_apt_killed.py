"""dpkg, killed in its middle: readers read what is there, and `dpkg --configure -a` brings the index up to date.

What changes is a rebuild of the same version, after which the site directory looks as before.
"""

import itertools

import pytest
from support import injection

from . import deb, debian_system
from .debian_system import SITE, assert_index_right

PLACE = f"{SITE}/plug-1.0.dist-info"
NAMES = ["METADATA", "INSTALLER", "entry_points.txt"]
# Calls by which dpkg writes the three files and puts them in place, and None, when all of them are: it is killed while
# it configures the package, before it runs a trigger.
STEPS = [("openat", 1), ("openat", 3), ("rename", 1), ("rename", 2), ("rename", 3), None]
KILL = "#!/bin/sh\n[ -e /srv/killed ] || { touch /srv/killed; kill -9 $PPID; }\n"

revisions = itertools.count(1)


def package(system, entry_points, scripts=None):
    files = {**deb.dist_info(SITE, "plug", "1.0", entry_points), **(scripts or {})}
    return f"/srv/{deb.payload(system.path('/srv'), 'python3-plug', f'1.0-{next(revisions)}', files).name}"


def kill(system, step, entry_points):
    """Install another build of the package, and kill dpkg at this step."""
    system.path("/srv/killed").unlink(missing_ok=True)
    if step:
        scripts = None
        places = [f"{PLACE}/{name}{new}" for name in NAMES for new in ("", ".dpkg-new")]
        command = injection.killed(places, *step)
    else:
        # Nothing kills the first process of a namespace from within.
        command, scripts = ["sh", "-c", '"$0" "$@"; exit $?'], {"DEBIAN/postinst": KILL}
    ended = system.run(*command, "dpkg", "--install", package(system, entry_points, scripts), check=False)
    assert ended.returncode == 137, (step, ended.stderr)


@pytest.mark.covers("apt", "killed")
@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(map(str, step or ["configure"])))
def test_after_a_killed_dpkg_readers_read_what_is_there(debian, step):
    debian.run("dpkg", "--install", package(debian, "[plugs]\nplug = plug:one\n"))
    assert_index_right(debian)
    kill(debian, step, "[plugs]\nplug = plug:two\n")
    debian_system.assert_reader_is_right(debian_system.answers(debian))
    debian.run("dpkg", "--configure", "-a")
    assert_index_right(debian)


def test_after_a_killed_dpkg_its_next_run_finds_the_first_entry_points(debian):
    """Until then, an index that says that there are none is believed."""
    debian.run("dpkg", "--install", package(debian, ""))
    assert_index_right(debian)
    kill(debian, None, "[plugs]\nplug = plug:three\n")
    assert ["plugs", "plug", "plug:three"] not in debian_system.answers(debian)["found"]
    debian.run("dpkg", "--configure", "-a")
    assert ["plugs", "plug", "plug:three"] in debian_system.answers(debian)["found"]
    assert_index_right(debian)
