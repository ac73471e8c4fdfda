"""A Debian system managed by pacman: its own database, our packages, and payloads.

Packages that Arch has and Debian's tree is made without are represented by `ground`: it provides what our packages
require, and has the hooks of Arch's systemd that make users and directories.
"""

import json
import re

import pytest

from . import chroot, pacman_build, rpm_machine
from .rpm_machine import CACHE, EPCACHE, SITE
from .rpm_payload import Payload

SUITE = "sid"
HOOK = """\
[Trigger]
Type = Path
Operation = Install
Operation = Upgrade
Target = usr/lib/{kind}.d/*.conf

[Action]
When = PostTransaction
Exec = {command}
"""
GROUND = Payload(
    "ground",
    files={
        "/usr/share/libalpm/hooks/20-systemd-sysusers.hook": HOOK.format(
            kind="sysusers", command="/usr/bin/systemd-sysusers"
        ),
        "/usr/share/libalpm/hooks/30-systemd-tmpfiles.hook": HOOK.format(
            kind="tmpfiles", command="/usr/bin/systemd-tmpfiles --create epcache.conf"
        ),
    },
    provides=("glibc", "gcc-libs", "findutils", "util-linux", "python"),
)
CONFIGURATION = "[options]\nArchitecture = x86_64\nSigLevel = Never\n"
# The program has no symbols any more.
MAKEPKG_CONFIGURATION = "OPTIONS+=(!strip !debug)\n"
# By which it is masked, in the directory of the administrator's hooks.
MASK = "/etc/pacman.d/hooks/00-epcache-stale.hook"


class Machine(rpm_machine.Machine):
    def __init__(self, system, ours):
        super().__init__(system)
        self.ours = ours

    def pacman(self, *arguments, **options):
        return self.transact("pacman", "--noconfirm", "--noprogressbar", *arguments, **options)

    def install(self, *payloads, ours=None, options=(), **how):
        """Install or upgrade, which must succeed without a word of ours."""
        files = [f"/payloads/{pacman_build.file_name(payload)}" for payload in payloads]
        files += self.ours[ours] if ours else []
        return succeeded(self.pacman("-U", *options, *files, **how))

    def remove(self, *names, options=()):
        return succeeded(self.pacman("-R", *options, *names))

    def clear(self):
        """Remove every package except `ground`, and the files that stay on purpose."""
        self.system.path("/var/lib/pacman/db.lck").unlink(missing_ok=True)
        installed = self.system.run("pacman", "-Qq").stdout.split()
        if names := [name for name in installed if name != GROUND.name]:
            self.system.run("pacman", "-R", "--noconfirm", "--noscriptlet", *names)
        for place in (SITE, CACHE, f"{CACHE}-hooks", MASK):
            self.system.run("rm", "-rf", place)
        self.remove_user()

    def state(self, site=SITE):
        """What `epcache status` calls the index."""
        states = json.loads(self.system.run(EPCACHE, "status", "--json", check=False).stdout)
        return next(state["state"] for state in states if state["site"] == site)


def succeeded(transaction):
    assert transaction.status == 0, transaction.output
    assert not re.search("^(epcache: |error: )", transaction.output, re.MULTILINE), transaction.output
    for run in transaction.runs:
        assert run.privileged_accesses([CACHE, SITE]) == [], run.argv
    return transaction


@pytest.fixture(scope="session")
def arch():
    """A machine with `ground` installed, and nothing of ours yet."""
    with chroot.unpacked(SUITE, rpm_machine.PACKAGES + rpm_machine.ONLY_SID, update=False) as system:
        system.path("/etc/pacman.conf").write_text(CONFIGURATION)
        with open(system.path("/etc/makepkg.conf"), "a") as file:
            file.write(MAKEPKG_CONFIGURATION)
        system.path("/etc/pacman.d/hooks").mkdir(parents=True, exist_ok=True)
        machine = Machine(system, pacman_build.build_ours(system, SITE))
        pacman_build.build(system, [GROUND])
        system.run("pacman", "-U", "--noconfirm", f"/payloads/{pacman_build.file_name(GROUND)}")
        yield machine
