"""dnf and zypper, which install from a repository: the index is right whatever becomes of their transactions.

Both call rpm's library, in one transaction for all packages. zypper also knows one transaction for each
package, as SUSE's systems had it.
"""

import os
import re
from dataclasses import dataclass

import pytest

from . import rpm_faults, rpm_tree
from .rpm_machine import CACHE, SITE, SITE64
from .rpm_steps import (
    ALPHA,
    ALPHA_2,
    BETA,
    BETA_AGAIN,
    BETA_REBUILT,
    BLOCKED,
    DELTA,
    DELTA_REBUILT,
    GAMMA,
    KILLER,
    OURS,
    REFUSED,
    WIDE,
    directory,
    succeeded,
)

REPOSITORY = "/repository"
NAMES = [name.removesuffix(".rpm") for name in OURS]


@dataclass(frozen=True)
class Installer:
    name: str
    command: tuple
    install: tuple = ("install",)
    upgrade: tuple = ("upgrade",)
    reinstall: tuple = ("reinstall",)
    remove: tuple = ("remove",)
    version: str = "-"  # between the name of a package and its version
    other_root: tuple = ()  # before the path of another system's root

    def spelled(self, payload):
        return f"{payload.name}{self.version}{payload.version}-{payload.release}"

    def run(self, machine, words, *names, root=None):
        elsewhere = [*self.other_root, root] if root else []
        return machine.transact(*self.command, *elsewhere, *words, *names)


FROM_REPOSITORY = f"file://{REPOSITORY}"
DNF = Installer(
    "dnf",
    (
        *("dnf5", "-y", "--repo=tests", f"--repofrompath=tests,{FROM_REPOSITORY}"),
        *("--setopt=tests.gpgcheck=0", "--releasever=1"),
    ),
    other_root=("--installroot",),
)
ZYPPER = Installer(
    "zypper",
    ("zypper", "--non-interactive", "--no-gpg-checks", "--plus-repo", FROM_REPOSITORY),
    upgrade=("update",),
    reinstall=("install", "--force"),
    version="=",
    other_root=("--installroot",),
)


def for_each(*covered):
    """Run the test with each installer; `covered` are the kinds of transaction that it shows right."""
    parameters = [
        pytest.param(
            installer,
            id=installer.name,
            marks=[pytest.mark.covers(installer.name, *covered)] if covered else [],
        )
        for installer in (DNF, ZYPPER)
    ]
    return pytest.mark.parametrize("installer", parameters)


def publish(machine, *payloads, ours):
    """Make a repository of these packages and of our own, of which nothing is known yet."""
    files = [f"/payloads/{payload.filename}" for payload in payloads]
    files += [f"/ours/{ours}/{name}" for name in OURS]
    script = (
        'rm -rf "$0" /var/cache/libdnf5 /var/cache/zypp && mkdir "$0" && cp "$@" "$0" && createrepo_c -q "$0"'
    )
    machine.system.run("sh", "-c", script, REPOSITORY, *files)


def values(machine):
    return {value.partition(":")[2] for _, name, value in machine.reader(SITE)["answer"] if name == "beta"}


@for_each("install", "upgrade", "same version", "removal")
def test_index_is_right_after_every_kind_of_transaction(managed, installer):
    def does(words, *names):
        return succeeded(installer.run(managed, words, *names))

    publish(managed, ALPHA, BETA, WIDE, ours="first")
    first = does(installer.install, *NAMES, "alpha")
    assert first.replaced(SITE)
    managed.assert_right(SITE)
    added = does(installer.install, "beta", "wide")
    assert added.read(SITE) == {directory(BETA)} and added.read(SITE64) == {directory(WIDE)}
    managed.assert_right(SITE, SITE64)

    # No stamp of the site directory shows another build.
    publish(managed, ALPHA_2, BETA_REBUILT, ours="first")
    upgraded = does(installer.upgrade, "beta")
    assert upgraded.read(SITE) == {directory(BETA)} and values(managed) == {"two"}
    managed.assert_right(SITE, SITE64)
    publish(managed, ALPHA_2, BETA_AGAIN, ours="first")
    again = does(installer.reinstall, "beta")
    assert again.read(SITE) == {directory(BETA)} and values(managed) == {"six"}
    managed.assert_right(SITE, SITE64)
    upgraded = does(installer.upgrade, "alpha")
    assert upgraded.read(SITE) == {directory(ALPHA_2)}
    managed.assert_right(SITE, SITE64)

    with rpm_faults.read_only(managed):
        does(installer.remove, "alpha")
        managed.assert_answers_right(SITE)
    does(installer.remove, "wide")
    managed.assert_right(SITE, SITE64)

    publish(managed, GAMMA, ours="second")
    upgraded = does(installer.upgrade, *NAMES)
    assert upgraded.replaced(SITE)
    managed.assert_right(SITE)
    does(installer.remove, "epcache")
    assert not os.path.lexists(managed.system.path(CACHE))
    assert managed.reader(SITE)["searched"]


@for_each("failed")
@pytest.mark.parametrize("failing", [REFUSED, BLOCKED], ids=lambda payload: payload.name)
def test_index_is_right_after_a_transaction_that_failed_in_part(managed, installer, failing):
    publish(managed, ALPHA, BETA, ours="first")
    succeeded(installer.run(managed, installer.install, *NAMES, "alpha", "beta"))
    publish(managed, BETA_REBUILT, GAMMA, failing, ours="first")
    names = [installer.spelled(BETA_REBUILT), "gamma", failing.name]
    failed = installer.run(managed, installer.install, *names)
    assert failed.status != 0, failed.output
    # The rest of the transaction has been made.
    assert values(managed) == {"two"}
    found = {name for name, *_ in managed.by_importlib(SITE)}
    assert directory(GAMMA) in found and directory(failing) not in found
    managed.assert_right(SITE)


@for_each("killed")
def test_answers_are_right_after_a_transaction_that_was_killed(managed, installer):
    publish(managed, ALPHA, BETA, DELTA, ours="first")
    succeeded(installer.run(managed, installer.install, *NAMES, "alpha", "beta", "delta"))
    publish(managed, ALPHA_2, BETA_REBUILT, DELTA_REBUILT, GAMMA, KILLER, ours="first")
    rebuilt = [installer.spelled(BETA_REBUILT), installer.spelled(DELTA_REBUILT)]
    killed = installer.run(managed, installer.install, *rebuilt, "gamma", "killer")
    # zypper itself goes on, and reports success.
    assert [run.argv[1:] for run in killed.runs] == [["trigger", "rpm", "--before"]], killed.output
    found = {name: points for name, *_, points in managed.by_importlib(SITE)}
    assert ["console_scripts", "beta", "beta:two"] in found[directory(BETA)] and directory(GAMMA) in found
    assert ["console_scripts", "delta", "delta:main"] in found[directory(DELTA)]
    managed.assert_answers_right(SITE)
    succeeded(installer.run(managed, installer.install, installer.spelled(ALPHA_2)))
    managed.assert_right(SITE)


@pytest.mark.covers("zypper", "install", "upgrade")
def test_zypper_with_a_transaction_for_each_package(managed):
    one_by_one = ("install", "--download", "as-needed")
    publish(managed, ALPHA, BETA, ours="first")
    done = succeeded(ZYPPER.run(managed, one_by_one, *NAMES, "alpha", "beta"))
    assert "classic_rpmtrans" in done.output
    managed.assert_right(SITE)
    publish(managed, ALPHA_2, BETA_REBUILT, ours="first")
    names = [ZYPPER.spelled(ALPHA_2), ZYPPER.spelled(BETA_REBUILT)]
    upgraded = succeeded(ZYPPER.run(managed, one_by_one, *names))
    assert upgraded.read(SITE) == {directory(ALPHA_2), directory(BETA)} and values(managed) == {"two"}
    managed.assert_right(SITE)


@for_each()
def test_another_root(managed, installer):
    rpm_tree.make(managed)
    publish(managed, ALPHA, BETA_REBUILT, ours="first")
    for names in (["epcache", "alpha"], ["beta"]):
        done = installer.run(managed, installer.install, *names, root=rpm_tree.TREE)
        assert done.status == 0, done.output
    rpm_tree.assert_right(managed, "beta:two")


@for_each()
def test_output_is_what_it_is_without_epcache(managed, installer):
    def shown():
        """What each of several transactions prints, but for sizes, times and speeds."""
        for payloads, words, name in [
            ([ALPHA], installer.install, "alpha"),
            ([ALPHA_2], installer.upgrade, "alpha"),
            ([ALPHA_2], installer.reinstall, "alpha"),
            ([ALPHA_2], installer.remove, "alpha"),
        ]:
            publish(managed, *payloads, ours="first")
            done = managed.system.run(*installer.command, *words, name)
            yield [as_usual(line) for line in (done.stdout + done.stderr).splitlines()]

    without = list(shown())
    assert all(len(lines) > 5 for lines in without)
    succeeded(installer.run(managed, installer.install, *NAMES))
    # zypper names every script that it runs.
    assert [[line for line in lines if "script for: epcache-" not in line] for lines in shown()] == without
    managed.assert_right(SITE)


def as_usual(line):
    """The line without what depends on time: sizes and speeds of progress, and the dots of zypper."""
    line = re.sub(r"[\d.]+ +([KMG]i)?B(/s)?|\d+m\d+s", "N", line)
    return re.sub(r"\s+", " ", re.sub(r"\[\.+", "[", line))
