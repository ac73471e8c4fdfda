"""Programs that read while dpkg upgrades a package: between unpacking and trigger as at any other time, they get
what plain importlib.metadata gives at that moment, and never an error of ours.

strace delays each step of dpkg, so that every state of the directory lasts long enough to be read (see
upgrade_reader.py).
"""

import pytest
from support import injection, readers

from . import deb
from .debian_system import INDEX, SITE, assert_index_right

DELAY = 0.1  # s
STEPS = "rename,renameat,renameat2,unlink,unlinkat,rmdir,link"

# The calls by which the files of the distribution come and go.
FILES = [
    "",
    *(f"/{name}{new}" for name in ("METADATA", "INSTALLER", "entry_points.txt") for new in ("", ".dpkg-new")),
]
PLACES = [f"{SITE}/moving-{version}.dist-info{file}" for version in ("1.0", "2.0") for file in FILES]
SLOWLY = injection.slowed(PLACES, STEPS, DELAY)


def package(system, name, version, revision, entry_points):
    files = deb.dist_info(SITE, name, version, entry_points)
    # No module beside the others: the times of the site directory would tell that something changes.
    files[f"{SITE}/{name}/__init__.py"] = "def run(): pass\n"
    return deb.payload(system.path("/srv"), name, f"{version}-{revision}", files).name


@pytest.mark.covers("apt", "readers")
def test_readers_get_what_is_there_while_dpkg_works(debian):
    steps = [
        # Beside it, nothing changes.
        package(debian, "still", "1.0", 1, "[probe]\nstill = still:run\n"),
        package(debian, "moving", "1.0", 1, "[probe]\nfirst = moving:run\n"),
        # Another directory.
        package(debian, "moving", "2.0", 1, "[probe]\nsecond = moving:run\n[other]\nthird = moving:run\n"),
        # The same names, times and sizes: the site directory looks as before.
        package(debian, "moving", "2.0", 2, "[probe]\nsecond = moving:ran\n[other]\nthird = moving:ran\n"),
        package(debian, "moving", "1.0", 3, "[probe]\nfirst = moving:run\n"),
    ]
    debian.run("dpkg", "--install", f"/srv/{steps[0]}")
    assert_index_right(debian)

    def dpkg(*arguments):
        debian.run(*SLOWLY, "dpkg", "--force-unsafe-io", *arguments)

    def work():
        for name in steps[1:]:
            dpkg("--install", f"/srv/{name}")
        dpkg("--remove", "moving")

    def run(*command):
        return debian.run(*command).stdout

    readers.check_beside(work, run, ["python3", "-I"], SITE, INDEX, debian.path("/srv"), "/srv", DELAY)
    assert_index_right(debian)
