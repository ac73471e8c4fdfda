"""Boots a system of `chroot.unpacked`: its own systemd runs as the first process of namespaces of their own.

It needs neither a virtual machine nor a systemd outside, only cgroup2, which may be mounted anywhere or nowhere. The
system has no network. Nothing stays running or mounted however the caller ends.

    with chroot.unpacked("trixie", include=booted.PACKAGES) as system, booted.booted(system) as machine:
        print(machine.run("systemctl", "status").stdout)

Booting the same tree again is a reboot.
"""

import contextlib
import os
import subprocess
import time
import uuid

from . import chroot

#: What a system needs to boot. `systemd-run --pipe` and `--wait` need dbus.
PACKAGES = ["dbus", "systemd"]
INIT = "/lib/systemd/systemd"
#: How long booting may take, and stopping what runs.
BOOT_LIMIT = 120
END_LIMIT = 20

# Runs as the first process of the namespaces: $1 is the tree, $2 a name. It moves to a control group of that name,
# which becomes the root of a namespace of control groups. /run is the tree's own, so it is empty at each boot.
BOOT = rf"""
set -eu
root=$1 name=$2
mount --bind "$root" "$root"
{chroot.DEVICES}
mount -t sysfs -o ro sysfs "$root/sys"
ln -s null "$root/dev/console"
mount -t tmpfs -o mode=755 run "$root/run"
groups=$root/sys/fs/cgroup
mount -t cgroup2 cgroup2 "$groups"
mkdir "$groups/$name"
echo 0 >"$groups/$name/cgroup.procs"
umount "$groups"
cd "$root"
exec unshare --cgroup sh -c '
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount --move . /
    exec chroot . env -i container=namespaces PATH=/usr/sbin:/usr/bin:/sbin:/bin "$1"
' sh "$3"
"""

# $1 is an empty directory, $2 the name of a control group: ends all that is in it, and removes it.
REMOVE = r"""
mount -t cgroup2 cgroup2 "$1" && cd "$1" && [ -d "$2" ] || exit 0
echo 1 >"$2/cgroup.kill"
for attempt in $(seq 100); do
    find "$2" -depth -type d -exec rmdir {} + 2>/dev/null && exit
    sleep 0.1
done
exit 1
"""
NAMESPACES = ["--mount", "--propagation", "private", "--pid", "--net", "--uts", "--ipc"]


class Machine:
    """A booted system."""

    def __init__(self, system, pid):
        self.system = system
        self._pid = pid

    def path(self, inside):
        """Where the absolute path `inside` lies on the machine outside. What is mounted inside, as on /run, is not
        there."""
        return self.system.path(inside)

    def run(self, *argv, **options):
        """Run `argv` as root in the booted system; `options` and the result are those of `chroot.run_within`."""
        enter = ["nsenter", f"--target={self._pid}", "--all", "--root", "--wd=/"]
        return chroot.run_within(enter, argv, **options)

    def journal(self, *arguments):
        """What is in the journal of this boot, as text."""
        return self.run("journalctl", "--boot", "--no-pager", "--quiet", *arguments).stdout


@contextlib.contextmanager
def booted(system):
    """Boot `system`, a Chroot with PACKAGES; all that runs in it ends with the context."""
    name = f"epcache-test-{uuid.uuid4().hex}"
    # Without a console nobody can log in, and modules are those of the kernel outside.
    for unit in ("console-getty", "getty@", "systemd-modules-load"):
        place = system.path(f"/etc/systemd/system/{unit}.service")
        if not place.is_symlink():
            place.symlink_to("/dev/null")
    arguments = [system.root, name, INIT]
    process = subprocess.Popen(
        ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-c", BOOT, "boot", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield _wait(system, process)
    finally:
        process.kill()
        process.wait(END_LIMIT)
        command = ["unshare", "--mount", "sh", "-c", REMOVE, "remove", system.path("/mnt"), name]
        subprocess.run(command, check=True, timeout=END_LIMIT)


def _wait(system, process):
    """The machine, once it has booted."""
    deadline = time.monotonic() + BOOT_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        children = _children(process.pid)
        if children and os.path.exists(f"/proc/{children[0]}/root/run/systemd/private"):
            machine = Machine(system, children[0])
            state = machine.run("systemctl", "is-system-running", "--wait", check=False, timeout=BOOT_LIMIT)
            if state.stdout.strip() in ("running", "degraded"):
                return machine
        time.sleep(0.05)
    raise chroot.CommandFailed(f"{system.root}: did not boot within {BOOT_LIMIT} s")


def _children(pid):
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
    return []
