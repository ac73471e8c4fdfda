"""Checks that the program compiles for other architectures, C libraries and systems, in Debian trixie's compiler.

Run as ``python -m system.packages.targets TARGET...``. Debian has the source of the standard library, so that each
target can be checked without one that is compiled, or a linker. What that source needs comes from the package
index of Rust. Nothing is run, and a minute is needed for each target.
"""

import sys

from . import chroot, deb

CERTIFICATES = "/etc/ssl/certs"


def main(targets):
    failed = False
    with chroot.unpacked("trixie", [*deb.BUILD_TOOLS, "rust-src"], update=False) as system:
        sources = system.path("/build/epcache")
        sources.mkdir(parents=True)
        chroot.source_tree(sources)
        cache = chroot.CACHE / "targets"
        (cache / "cargo").mkdir(parents=True, exist_ok=True)
        for target in targets:
            command = [
                "cargo",
                "check",
                "--quiet",
                "--locked",
                "-Zbuild-std=std,panic_abort",
                "--target",
                target,
            ]
            mounts = [("bind", cache, "/cache"), ("bind", CERTIFICATES, "/certificates")]
            variables = {
                "RUSTC_BOOTSTRAP": "1",
                "CARGO_HOME": "/cache/cargo",
                "CARGO_TARGET_DIR": "/cache",
                "CARGO_HTTP_CAINFO": "/certificates/ca-certificates.crt",
            }
            done = system.run(
                *command, cwd="/build/epcache", network=True, check=False, mounts=mounts, env=variables
            )
            print(f"{target}: {'compiles' if done.returncode == 0 else done.stderr}", flush=True)
            failed = failed or done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
