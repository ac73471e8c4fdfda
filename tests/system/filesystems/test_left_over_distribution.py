"""A distribution that an interrupted installer has left empty is found when it is filled, however late that is.

Filling it changes no site directory. So that it is older than a minute, its ctime is set, by debugfs on ext4.
"""

import json
import os
import subprocess

import pytest
from support import private_mounts
from support.checkout import READER, debug_program
from support.interpreters import INTERPRETERS, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a file system")

LEFT = "left-1.dist-info"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
# What a process finds before and after a line on standard input.
ASK = """
import sys
sys.path[:0] = sys.argv[1:]
import epcache
for _ in range(2):
    print(sorted(epcache.entry_points(group="probe").names), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def site(tmp_path):
    """A site directory with a distribution, and one that is empty, both older than a minute."""
    source, image, mount = (tmp_path / name for name in ("source", "image", "mount"))
    for name in ("here-1.dist-info", LEFT):
        (source / "site" / name).mkdir(parents=True)
    (source / "site/here-1.dist-info/METADATA").write_text(METADATA.format(name="here"))
    (source / "site/here-1.dist-info/entry_points.txt").write_text("[probe]\nhere = here\n")
    with open(image, "wb") as file:
        file.truncate(8 << 20)
    run("mkfs.ext4", "-q", "-d", source, image)
    paths = [f"/{path.relative_to(source)}" for path in sorted(source.rglob("*"))]
    requests = "".join(f"set_inode_field {path} ctime 20200202020202\n" for path in paths)
    run("debugfs", "-w", "-f", "/dev/stdin", image, input=requests)
    mount.mkdir()
    private_mounts.begin()
    with private_mounts.mounted("-o", "loop", image, mount):
        yield mount / "site"


def test_the_hint_of_status_makes_the_index_fresh(site):
    def status():
        command = [debug_program(), "status", "--json", site]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)[0]

    run(debug_program(), "refresh", site)
    assert (status()["state"], LEFT in status()["reason"]) == ("unsettled", True)
    path = f"{os.path.dirname(debug_program())}:{os.environ['PATH']}"
    run("sh", "-c", status()["hint"], env={**os.environ, "PATH": path})
    assert status()["state"] == "fresh"


def test_a_distribution_that_was_left_empty_is_found_when_it_is_filled(site):
    run(debug_program(), "refresh", site)
    before = site.stat()
    ask = [INTERPRETERS["3.13"], "-B", "-c", ASK, site, READER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([str(word) for word in ask], **pipes) as process:
        assert process.stdout.readline() == "['here']\n"
        (site / LEFT / "METADATA").write_text(METADATA.format(name="left"))
        (site / LEFT / "entry_points.txt").write_text("[probe]\nleft = left\n")
        assert (site.stat().st_mtime_ns, site.stat().st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "['here', 'left']\n"
    assert run(*ask, input="\n\n").splitlines() == ["['here', 'left']"] * 2
