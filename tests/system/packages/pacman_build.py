"""Packages for pacman: ours by the real makepkg, and payloads that hold Python distributions."""

import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from . import chroot, deb, rpm_payload
from .rpm_payload import OLD

RECIPES = chroot.CHECKOUT / "packaging/pacman"
# The second is an upgrade of the first.
RELEASES = {"first": 1, "second": 2}
NOBODY = 65534


def build_ours(system, site):
    """Our packages, in a folder of /ours for each of RELEASES.

    makepkg packs the program that is in our Debian package, so that it is not compiled once more.
    """
    version = re.search(r"^pkgver=(\S+)", (RECIPES / "PKGBUILD").read_text(), re.MULTILINE)[1]
    build = system.path("/build")
    source = build / f"src/epcache-{version}"
    for name in chroot.source_files():
        if not name.startswith(("tests/", "benches/", "fuzz/")):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(chroot.CHECKOUT / name, target)
    package = next(path for path in deb.epcache_packages() if path.name.startswith("epcache_"))
    unpacked = system.path("/unpacked")
    subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
    (source / "target/release").mkdir(parents=True)
    (unpacked / "usr/bin/epcache").rename(source / "target/release/epcache")
    shutil.copy(RECIPES / "epcache.install", build)
    for release, number in RELEASES.items():
        recipe = (RECIPES / "PKGBUILD").read_text()
        (build / "PKGBUILD").write_text(recipe.replace("\npkgrel=1\n", f"\npkgrel={number}\n"))
        place = system.path(f"/ours/{release}")
        place.mkdir(parents=True)
        for top in (build, place):
            subprocess.run(["chown", "-R", str(NOBODY), top], check=True)
        # makepkg refuses to run as root.
        system.run(
            *["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"],
            *["makepkg", "--repackage", "--nodeps", "--skipinteg"],
            cwd="/build",
            env={"PKGDEST": f"/ours/{release}", "PKGEXT": ".pkg.tar", "PYTHON_DIR": site, "HOME": "/build"},
        )
    built = {release: Path(f"/ours/{release}") for release in RELEASES}
    return {
        release: [place / name for name in os.listdir(system.path(place))] for release, place in built.items()
    }


def build(system, payloads):
    """Build `payloads` below /payloads."""
    for payload in payloads:
        tree = system.path(f"/payloads/source/{file_name(payload)}")
        rpm_payload.write(payload, tree)
        info = {
            "pkgname": payload.name,
            "pkgver": f"{payload.version}-{payload.release}",
            "pkgdesc": "payload of a test",
            "builddate": OLD,
            "packager": "nobody",
            "arch": "any",
        }
        lines = [f"{key} = {value}\n" for key, value in info.items()]
        text = "".join([*lines, *(f"provides = {what}\n" for what in payload.provides)]).encode()
        with tarfile.open(system.path(f"/payloads/{file_name(payload)}"), "w") as archive:
            member = tarfile.TarInfo(".PKGINFO")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
            for path in sorted(tree.rglob("*")):
                archive.add(path, path.relative_to(tree), recursive=False)
        shutil.rmtree(tree)


def file_name(payload):
    return f"{payload.name}-{payload.version}-{payload.release}-any.pkg.tar"
