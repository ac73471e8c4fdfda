"""Our own packages, built by rpmbuild from `rpm/epcache.spec` without network."""

import functools
import re
import shutil
import subprocess

from . import chroot

SPEC = chroot.CHECKOUT / "rpm/epcache.spec"

# bookworm's rpm 4.18 does not make users from sysusers.d, trixie's 4.20 does: the two
# build different packages. A package runs where the C library is no older.
TOOLS = {
    "bookworm": ["cargo-web", "gcc", "libc6-dev", "make", "python3-packaging", "rpm", "rustc-web"],
    "trixie": ["cargo", "gcc", "libc6-dev", "make", "python3-packaging", "rpm", "rustc"],
}
RELEASES = ("first", "second")


@functools.cache
def packages(suite):
    """The directory with the packages as built in `suite`, and their source package: a folder for each of RELEASES,
    the second an upgrade of the first.

    Kept by a digest of the sources at the first call.
    """
    built = chroot.CACHE / "rpm" / suite / chroot.source_digest()
    with chroot.locked(chroot.CACHE / "rpm" / f"{suite}.lock"):
        if not built.exists():
            shutil.rmtree(built.parent, ignore_errors=True)
            partial = built.with_name("partial")
            _build(suite, partial)
            partial.rename(built)
    return built


def _build(suite, results):
    version = re.search(r"^Version:\s*(\S+)", SPEC.read_text(), re.MULTILINE).group(1)
    target = chroot.CACHE / "rpm-target" / suite
    target.mkdir(parents=True, exist_ok=True)
    with chroot.unpacked(suite, TOOLS[suite], update=False) as system:
        sources = system.path("/sources")
        chroot.source_tree(sources)
        top = system.path("/rpmbuild")
        (top / "SOURCES").mkdir(parents=True)
        label = f"epcache-{version}"
        vendored = top / f"SOURCES/{label}-vendor.tar.gz"
        subprocess.run(
            ["tar", "-C", sources, "-cf", vendored, "--use-compress-program=gzip -1", "vendor"], check=True
        )
        subprocess.run(
            ["tar", "-C", sources, "-czf", top / f"SOURCES/{label}.tar.gz"]
            + ["--exclude=./vendor", f"--transform=s,^\\.,{label},", "."],
            check=True,
        )
        shutil.copy(SPEC, top)
        for release in RELEASES:
            system.run(
                "rpmbuild",
                "-ba",
                # Debian's cargo is not in rpm's database; the rest of the build is unchanged.
                "--nodeps",
                "--define=_topdir /rpmbuild",
                f"--define=_rpmdir /rpmbuild/{release}",
                f"--define=_srcrpmdir /rpmbuild/{release}",
                # The sources are large.
                "--define=_source_payload w1.gzdio",
                "--define=_build_name_fmt %%{NAME}.rpm",
                "--define=debug_package %{nil}",
                *([f"--define=dist .{release}"] if release != RELEASES[0] else []),
                f"/rpmbuild/{SPEC.name}",
                mounts=[("bind", target, "/target")],
                env=chroot.QUICK_BUILD,
            )
            shutil.copytree(top / release, results / release)
