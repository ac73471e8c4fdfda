"""The RPM packages and their source package: rpmlint accepts them, and they name what is in them."""

import re

import pytest

from ..packages import chroot, rpm_build

# Errors of rpmlint that are not ours, each with the reason.
ACCEPTED = {
    "hardcoded-library-path": "these directories are in /usr/lib on every architecture",
    "no-group-tag": "no distribution wants groups any more",
    "no-packager-tag": "who builds the package sets it",
    "no-signature": "who builds the package signs it",
    "spelling-error": "its dictionary has neither ldconfig nor importlib",
}


@pytest.fixture(scope="module")
def system():
    with chroot.unpacked("trixie", ["rpm", "rpmlint"], update=False) as system:
        place = system.path("/packages")
        place.mkdir()
        for file in (rpm_build.packages("trixie") / "first").glob("*.rpm"):
            (place / file.name).write_bytes(file.read_bytes())
        (place / rpm_build.SPEC.name).write_bytes(rpm_build.SPEC.read_bytes())
        yield system


def query(system, package, *tags):
    shown = system.run(
        "rpm", "-qp", "--qf", "".join(f"[%{{{tag}}}\\n]" for tag in tags), f"/packages/{package}"
    )
    return shown.stdout.splitlines()


def test_rpmlint_has_no_error(system):
    said = system.run("sh", "-c", "rpmlint /packages/*.rpm /packages/*.spec", check=False)
    assert "3 packages and 1 specfiles checked" in said.stdout, said.stdout + said.stderr
    errors = set(re.findall(r"^\S+: E: (\S+)", said.stdout, re.MULTILINE))
    assert errors - set(ACCEPTED) == set(), said.stdout


def test_each_package_names_its_licences_and_crates(system):
    assert query(system, "python3-epcache.rpm", "LICENSE") == ["MIT OR Apache-2.0"]
    [licence] = query(system, "epcache.rpm", "LICENSE")
    assert licence.startswith("(MIT OR Apache-2.0) AND ") and "LLVM-exception" in licence
    bundled = [
        name for name in query(system, "epcache.rpm", "PROVIDENAME") if name.startswith("bundled(crate(")
    ]
    assert {"bundled(crate(clap))", "bundled(crate(landlock))", "bundled(crate(toml))"} <= set(bundled)
    assert not any("bundled" in name for name in query(system, "python3-epcache.rpm", "PROVIDENAME"))


def test_the_source_package_has_both_tarballs(system):
    [source] = [path.name for path in system.path("/packages").glob("*.src.rpm")]
    [version] = query(system, source, "VERSION")
    files = set(query(system, source, "FILENAMES"))
    assert files == {"epcache.spec", f"epcache-{version}.tar.gz", f"epcache-{version}-vendor.tar.gz"}
