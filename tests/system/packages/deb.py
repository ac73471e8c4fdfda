"""Makes .deb files: ours by dpkg-buildpackage, and payloads, from scratch or from real ones."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import chroot

BUILD_TOOLS = ["build-essential", "cargo", "debhelper", "dh-python", "python3", "rustc"]


@functools.cache
def epcache_packages(suite="trixie"):
    """Paths of epcache_*.deb and python3-epcache_*.deb, built from the checkout.

    Built in `suite` with its own compiler and without network; kept in
    `.cache/debs` for as long as the sources are the same. The environment variable
    EPCACHE_DEBS names a directory with packages to be tested instead.
    """
    if finished := os.environ.get("EPCACHE_DEBS"):
        return sorted(Path(finished).glob("*.deb"))
    place = chroot.CACHE / "debs" / suite / chroot.source_digest()
    with chroot.locked(chroot.CACHE / "debs" / f"{suite}.lock"):
        if not place.exists():
            with chroot.unpacked(suite, BUILD_TOOLS, update=False) as system:
                sources = system.path("/build/epcache")
                sources.mkdir(parents=True)
                chroot.source_tree(sources)
                if suite == "trixie":
                    # Its rustc is the oldest that is supported, so this build is the test of `rust-version`.
                    assert system.run("rustc", "--version").stdout.startswith(f"rustc {oldest_rust()}.")
                # Kept between builds, so that dependencies are compiled once.
                target = chroot.CACHE / "deb-target" / suite
                target.mkdir(parents=True, exist_ok=True)
                options = f"nocheck noautodbgsym parallel={os.cpu_count()}"
                system.run(
                    "dpkg-buildpackage", "-b", "-us", "-uc",
                    cwd="/build/epcache", mounts=[("bind", target, "/target")], timeout=1800,
                    env={"DEB_BUILD_OPTIONS": options, **chroot.QUICK_BUILD},
                )  # fmt: skip
                partial = place.with_name(place.name + ".partial")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                for package in system.path("/build").glob("*.deb"):
                    shutil.copy2(package, partial)
                for old in place.parent.iterdir():
                    if old != partial:
                        shutil.rmtree(old)
                partial.rename(place)
    return sorted(place.glob("*.deb"))


def oldest_rust():
    """The oldest supported version of Rust, as Cargo.toml states it."""
    manifest = (chroot.CHECKOUT / "Cargo.toml").read_text()
    return re.search(r'^rust-version = "([0-9.]+)"$', manifest, re.MULTILINE)[1]


# 2020-02-02 02:02:02 UTC, the mtime of every file of a synthetic payload.
OLD = 1580608922


def _build(tree, destination):
    """The .deb file of the package laid out in `tree`; dpkg-deb chooses the file name."""
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(destination)],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def payload(destination, name, version, files):
    """A package with `files`, a mapping from absolute paths to their text; all have one
    old mtime. Scripts are below `DEBIAN`. Returns the path of the .deb in `destination`."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Nobody <nobody@example.org>\nDescription: payload of a test\n"
        )
        for path, text in {"DEBIAN/control": control, **files}.items():
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            target.chmod(0o755 if text.startswith("#!") else 0o644)
            os.utime(target, (OLD, OLD))
        result = Path(destination) / f"{name}_{version}_all.deb"
        _build(tree, result)
    return result


def dist_info(site, name, version, entry_points):
    """The files of a distribution for `payload`."""
    directory = f"{site}/{name}-{version}.dist-info"
    return {
        f"{directory}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{directory}/INSTALLER": "debian\n",
        f"{directory}/entry_points.txt": entry_points,
    }


def repacked(original, destination, edit):
    """`original`, a .deb, with its files changed by `edit(tree)` and a version that is
    greater by "+test1". Returns the path of the new .deb in `destination`."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        subprocess.run(["dpkg-deb", "--raw-extract", str(original), str(tree)], check=True)
        edit(tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+test1", control.read_text()))
        (tree / "DEBIAN/md5sums").unlink(missing_ok=True)
        result = Path(destination) / (Path(original).stem + "+test1.deb")
        _build(tree, result)
    return result


def change_entry_points_alone(tree):
    """Give each entry_points.txt another content of the same size, with the same mtime."""
    for file in tree.rglob("entry_points.txt"):
        before = file.stat()
        text = file.read_bytes()
        last = text.rstrip()[-1:]
        changed = text.rstrip()[:-1] + (b"x" if last != b"x" else b"y") + text[len(text.rstrip()) :]
        file.write_bytes(changed)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = file.stat()
        assert text != changed and (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def raise_upstream_version(tree):
    """Give each distribution the version 99.1, in its metadata and its directory's name."""
    for directory in [*tree.rglob("*.dist-info"), *tree.rglob("*.egg-info")]:
        metadata = directory / ("METADATA" if directory.suffix == ".dist-info" else "PKG-INFO")
        metadata.write_text(re.sub(r"(?m)^Version: .*$", "Version: 99.1", metadata.read_text(), count=1))
        directory.rename(directory.with_name(f"{directory.stem.split('-')[0]}-99.1{directory.suffix}"))


def publish(packages, repository):
    """Make `packages` a repository for apt in the directory `repository`, replacing what was there."""
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir(parents=True)
    paragraphs = []
    for package in packages:
        shutil.copy(package, repository)
        fields = subprocess.run(
            ["dpkg-deb", "--field", str(package)], check=True, capture_output=True, text=True
        ).stdout
        data = Path(package).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        paragraphs.append(
            f"{fields.strip()}\nFilename: ./{Path(package).name}\nSize: {len(data)}\nSHA256: {digest}\n"
        )
    (repository / "Packages").write_text("\n".join(paragraphs))
