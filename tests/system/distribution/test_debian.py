"""Debian's source package: it builds with the crates in it and with Debian's own, and lintian accepts it."""

import os
import shutil
import subprocess

import pytest

from ..packages import chroot, deb

TOOLS = [*deb.BUILD_TOOLS, "autopkgtest", "lintian"]
CRATES = {"vendored": "vendor", "debian": ""}


@pytest.fixture(scope="module", params=CRATES)
def built(request):
    """A system of trixie that has built the packages from the source package, with `crates` of either kind."""
    vendor = CRATES[request.param]
    shutil.rmtree(chroot.CHECKOUT / "dist/deb", ignore_errors=True)
    subprocess.run(["make", "--quiet", "dsc", f"VENDOR={vendor}"], cwd=chroot.CHECKOUT, check=True)
    with chroot.unpacked("trixie", TOOLS) as system:
        for file in (chroot.CHECKOUT / "dist/deb").glob("epcache_*"):
            system.path("/build").mkdir(exist_ok=True)
            shutil.copy(file, system.path("/build"))
        profiles = [] if vendor else ["--build-profiles", "pkg.epcache.debian-crates"]
        system.run("sh", "-c", "dpkg-source --extract *.dsc epcache", cwd="/build")
        if profiles:
            system.apt("build-dep", *profiles, "/build/epcache")
        system.run(
            "dpkg-buildpackage", "-us", "-uc", *(["-Ppkg.epcache.debian-crates"] if profiles else []),
            cwd="/build/epcache", timeout=3600,
            env={"DEB_BUILD_OPTIONS": f"parallel={os.cpu_count()}"},
        )  # fmt: skip
        yield system


def test_lintian_has_nothing_to_say(built):
    options = ["--info", "--display-info", "--pedantic", "--fail-on=none"]
    done = built.run("sh", "-c", f"lintian --allow-root {' '.join(options)} *.changes", cwd="/build")
    tags = [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:", "I:", "P:")]
    assert tags == []


def test_the_tests_of_the_package_succeed(built):
    debs = [f"./{file.name}" for file in built.path("/build").glob("*epcache_*.deb")]
    assert len(debs) == 2
    command = ["autopkgtest", "--no-built-binaries", *debs, "./epcache", "--", "null"]
    done = built.run(*command, cwd="/build", network=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "packages-are-indexed PASS" in done.stdout
