"""A tree that rpm fills from outside: without /proc and /dev/null, with a shell and the C library."""

import subprocess

from support import index_reader

from .rpm_machine import CACHE, EPCACHE, SITE, described, expected

TREE = "/tree"


def make(machine):
    libraries = ["libc.so.6", "libm.so.6", "libgcc_s.so.1"]
    script = f"""
        set -eu
        rm -rf {TREE}
        mkdir -p {TREE}/bin {TREE}/etc {TREE}/lib64 {TREE}/lib/x86_64-linux-gnu {TREE}/usr/bin {TREE}/var/tmp
        cp /bin/busybox {TREE}/bin/busybox
        for applet in sh find; do ln -s busybox {TREE}/bin/$applet; done
        cp -L /lib64/ld-linux-x86-64.so.2 {TREE}/lib64/
        for library in {" ".join(libraries)}; do
            cp -L /lib/x86_64-linux-gnu/$library {TREE}/lib/x86_64-linux-gnu/
        done
        echo root:x:0:0::/root:/bin/sh >{TREE}/etc/passwd
        echo epcache:x:970:970::/nonexistent:/usr/sbin/nologin >>{TREE}/etc/passwd
        echo root:x:0: >{TREE}/etc/group
        echo epcache:x:970: >>{TREE}/etc/group
        rpm --root {TREE} -U /payloads/ground-1-1.rpm
    """
    machine.system.run("sh", "-c", script)


def assert_right(machine, value):
    """Check that the index in the tree is right, and that `value` is one of an entry point."""
    tree = machine.system.path(TREE)
    index = tree / f"{CACHE}{SITE}/index".lstrip("/")
    found = index_reader.parse(index.read_bytes())
    assert described(found) == expected(machine.by_importlib(SITE, TREE))
    assert index.stat().st_uid == 970
    shown = subprocess.run(
        ["chroot", tree, EPCACHE, "list", "--site", SITE], check=True, capture_output=True, text=True
    )
    assert value in shown.stdout
