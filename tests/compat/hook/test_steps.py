"""Every command of pip behaves the same with the hook, and the index is fresh afterwards."""

import sys

import pytest
from support import wheels
from support.interpreters import run


def package_index():
    """The URL of the package index; the one built into pip 9 no longer exists."""
    code = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    return run(sys.executable, "-c", code).strip()


def names(twins):
    """The names of the entry points of the wheels made here."""
    rows = twins.hooked.installed("epcache")
    return [name for group, name, _, _ in rows if group == "probe"]


@pytest.mark.covers("pip", "install")
def test_an_installation_is_indexed(twins):
    assert "Successfully installed probe-1.0" in twins.install(wheels.make(twins.wheels, "probe", "1.0"))
    twins.assert_refreshed()
    assert names(twins) == ["of_1.0", "probe"]


@pytest.mark.covers("pip", "upgrade")
def test_an_upgrade_is_indexed(twins):
    twins.install(wheels.make(twins.wheels, "probe", "1.0"))
    twins.hooked.assert_fresh()
    twins.install(wheels.make(twins.wheels, "probe", "2.0"))
    twins.assert_refreshed()
    assert names(twins) == ["of_2.0", "probe"]


@pytest.mark.covers("pip", "same version")
def test_another_build_of_the_same_version_is_indexed(twins):
    twins.install(wheels.make(twins.wheels, "probe", "1.0"))
    twins.install("--force-reinstall", wheels.make(twins.wheels, "probe", "1.0", modules=3))
    twins.assert_refreshed()


@pytest.mark.covers("pip", "removal")
def test_an_uninstallation_is_indexed(twins):
    twins.install(wheels.make(twins.wheels, "probe", "1.0"))
    twins.hooked.assert_fresh()
    status, output, _ = twins.pip("uninstall", "--yes", "probe")
    assert status == 0
    assert "Successfully uninstalled probe-1.0" in output
    twins.assert_refreshed()
    assert names(twins) == []


def test_a_package_of_the_package_index_is_indexed(twins):
    # All packages are named, as old versions of pip install dependencies in any order.
    pinned = ["mccabe==0.7.0", "pycodestyle==2.9.1", "pyflakes==2.5.0", "flake8==5.0.4"]
    status, output, complaint = twins.pip("install", "--no-deps", *pinned, "-i", package_index())
    assert status == 0, complaint
    assert "Successfully installed flake8-5.0.4" in output
    twins.assert_refreshed()
    assert ["flake8.extension", "F", "flake8.plugins.pyflakes:FlakesChecker", "5.0.4"] in (
        twins.hooked.installed("epcache")
    )


def test_an_installation_that_finds_nothing_changes_nothing(twins):
    index = twins.hooked.site / ".epcache/index"
    before = index.stat()
    status, _, complaint = twins.pip("install", "--no-index", "no-such-package")
    assert status == 1
    assert "No matching distribution found for no-such-package" in complaint
    assert index.stat() == before
    assert twins.hooked.state() in ("fresh", "unsettled")


def test_a_wheel_with_broken_metadata_fails_as_before(twins):
    broken = wheels.make(twins.wheels, "broken", "1.0", leave_out=["WHEEL", "METADATA"])
    status, _, complaint = twins.pip("install", "--no-index", broken)
    assert status != 0
    assert complaint
    twins.hooked.assert_fresh()


@pytest.mark.covers("pip", "failed")
def test_files_left_by_a_failed_installation_are_indexed(twins):
    # Newer versions of pip install in the reverse order of the names.
    made = [wheels.make(twins.wheels, name, "1.0") for name in ("first", "very_last")]
    made.insert(1, wheels.make(twins.wheels, "middle", "1.0", **{"in_the_way.py": ""}))
    for environment in twins:
        (environment.site / "in_the_way.py").mkdir()
        environment.call(environment.tool, "refresh", environment.site)
    status, _, _ = twins.pip("install", "--no-index", *made)
    assert status != 0
    twins.assert_refreshed()
    assert {"first", "very_last"} & set(names(twins))


@pytest.mark.parametrize(
    "command",
    [["python", "-m", "pip"], ["python", "-I", "-m", "pip"], ["pip"], ["python", "bin/pip"]],
    ids=" ".join,
)
def test_pip_is_recognised_under_every_command_name(twins, command):
    wheel = wheels.make(twins.wheels, "probe", "1.0")
    program, *rest = command
    status, _, complaint = twins.call(
        lambda environment: [environment.directory / "bin" / program, *rest, "install", "--no-index", wheel]
    )
    assert status == 0, complaint
    twins.assert_refreshed()


def test_read_only_commands_change_nothing(twins):
    index = twins.hooked.site / ".epcache/index"
    before = index.stat()
    for command in ("list", "freeze", "check", "--version", "help"):
        status, output, _ = twins.pip(command)
        assert status == 0
        assert output
    assert index.stat() == before


def test_an_accelerated_pip_behaves_the_same(twins):
    hooked = twins.hooked
    run(hooked.program, "enable", "--accelerate", "--pip-hook", hooked.site, env=hooked.variables)
    old, new = [wheels.make(twins.wheels, "probe", version) for version in ("1.0", "2.0")]
    twins.install(old)
    twins.assert_refreshed()
    for stale in (False, True):
        if stale:
            # Without pip, which then finds an unusable index.
            for environment in twins:
                made = environment.site / "other-1.0.dist-info"
                made.mkdir()
                (made / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
        twins.install(new)
        twins.assert_refreshed()
        for command in (
            ["list"],
            ["freeze"],
            ["check"],
            ["show", "-f", "probe"],
            ["uninstall", "--yes", "probe"],
        ):
            twins.pip(*command)
        twins.assert_refreshed()
