"""Builds wheels for other machines and C libraries, in Debian trixie's compiler, and puts them into a directory.

Run as ``python -m system.wheels.other_machines DIRECTORY TARGET...``, where no compiled standard library of these
targets is to be had. Debian has its source, and zig links. What that source needs comes from the package index of
Rust. Needs root; the first build of a target takes some minutes, and fewer with ``CARGO_PROFILE_RELEASE_LTO=off``.
"""

import os
import pathlib
import shutil
import sys

from system.packages import chroot, deb

CERTIFICATES = "/etc/ssl/certs"
WITHIN = "/certificates/ca-certificates.crt"
# Where everything is in the chroot. None of it may be in a wheel.
SOURCES, CARGO_HOME, BUILT = PLACES = ["/build/epcache", "/cache/cargo", "/cache/target"]
VARIABLES = {
    # Unstable options in a stable compiler, of which `build-std` compiles the standard library as well.
    "RUSTC_BOOTSTRAP": "1",
    "CARGO_UNSTABLE_BUILD_STD": "std panic_abort",
    "CARGO_HOME": CARGO_HOME,
    "CARGO_TARGET_DIR": BUILT,
    "CARGO_HTTP_CAINFO": WITHIN,
    "PIP_CERT": WITHIN,
}
GIVEN = ("SOURCE_DATE_EPOCH", "CARGO_PROFILE_")
# The objects with which a program of musl begins are zig's. Debian has none.
OF_MUSL = {"RUSTFLAGS": "-C link-self-contained=no"}


def build(directory, targets):
    """Build wheels for `targets`, and put them into `directory`."""
    cache = chroot.CACHE / "other-machines"
    cache.mkdir(parents=True, exist_ok=True)
    given = {name: value for name, value in os.environ.items() if name.startswith(GIVEN)}
    with chroot.unpacked("trixie", [*deb.BUILD_TOOLS, "python3-venv", "rust-src"], update=False) as system:
        sources = system.path(SOURCES)
        sources.mkdir(parents=True)
        chroot.source_tree(sources)
        pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
        for target in targets:
            system.run(
                "make", "wheels-with-program", f"WHEEL_TARGETS={target}",
                cwd=SOURCES, network=True, timeout=7200,
                env={**VARIABLES, **(OF_MUSL if target.endswith("-musl") else {}), **given},
                mounts=[("bind", cache, "/cache"), ("bind", CERTIFICATES, "/certificates")],
            )  # fmt: skip
            for wheel in (sources / "dist/wheels").glob("*.whl"):
                shutil.copy(wheel, directory)


if __name__ == "__main__":
    build(sys.argv[1], sys.argv[2:])
