"""A hook of one package runs when others are installed, upgraded and removed, by dpkg and by rpm."""

import time

from . import deb, debian_system
from .hook_package import FILES, Records
from .rpm_machine import EPCACHE, SITE
from .rpm_steps import ALPHA, ALPHA_2, BETA, BETA_REBUILT, GAMMA, RECORDER, erase, install

GROUPS = ["console_scripts", "plugins"]


def test_dpkg_runs_a_hook_of_another_package(debian):
    site = debian_system.SITE
    records = Records(debian, site)

    def dpkg(*arguments):
        output = debian.run("dpkg", *arguments)
        assert "hook " not in output.stdout + output.stderr
        return records.new()

    def alpha(version, release, entry_points):
        files = deb.dist_info(site, "alpha", version, entry_points)
        place = debian.path("/srv")
        return f"/srv/{deb.payload(place, 'python3-alpha', f'{version}-{release}', files).name}"

    recorder = f"/srv/{deb.payload(debian.path('/srv'), 'recorder', '1', FILES).name}"
    assert dpkg("-i", recorder) == []
    first = "[plugins]\nx = alpha:x\n"
    assert dpkg("-i", alpha("1.0", "1", first)) == [("added", "alpha", None, "1.0", ["plugins"], [], [])]
    # The same files again, with the same times.
    assert dpkg("-i", alpha("1.0", "2", first)) == [("updated", "alpha", "1.0", "1.0", [], [], [])]
    second = "[plugins]\nx = alpha:y\n\n[others]\nx = alpha:x\n"
    upgraded = ("updated", "alpha", "1.0", "2.0", ["others"], [], ["plugins"])
    assert dpkg("-i", alpha("2.0", "1", second)) == [upgraded]
    assert dpkg("-r", "python3-alpha") == [("removed", "alpha", "2.0", None, [], ["others", "plugins"], [])]
    records.assert_user()
    # It ends with its package.
    dpkg("-P", "recorder")
    assert dpkg("-i", alpha("1.0", "1", first)) == []


def test_rpm_runs_a_hook_of_another_package(bare):
    records = Records(bare.system, SITE)
    install(bare, RECORDER, ours="first")
    assert records.new() == []
    install(bare, ALPHA, BETA)
    added = [("added", name, None, "1.0", GROUPS, [], []) for name in ("alpha", "beta")]
    assert records.new() == added
    install(bare, BETA_REBUILT)
    assert records.new() == [("updated", "beta", "1.0", "1.0", [], [], ["console_scripts"])]
    install(bare, ALPHA_2)
    assert records.new() == [("updated", "alpha", "1.0", "2.0", [], [], ["console_scripts"])]
    erase(bare, "alpha")
    assert records.new() == [("removed", "alpha", "2.0", None, [], GROUPS, [])]
    install(bare, GAMMA, options=["-U", "--noscripts"])
    assert records.new() == []
    # A directory that has just changed cannot be distinguished from one that changes again.
    time.sleep(3.1)
    bare.system.run(EPCACHE, "refresh", "--system")
    assert records.new() == [("added", "gamma", None, "1.0", GROUPS, [], [])]
    bare.assert_right(SITE)
    records.assert_user()
