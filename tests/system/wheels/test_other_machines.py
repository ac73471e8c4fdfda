"""The wheels for other machines and C libraries: aarch64 emulated by qemu-user, musl where there is no C library."""

import os
import pathlib
import shutil
import subprocess
import zipfile

import pytest

from system.packages import chroot

EMULATOR = "/usr/bin/qemu-aarch64-static"
QUESTION = """
import sys
sys.path.insert(0, sys.argv[1])
module = __import__(sys.argv[2], fromlist=["*"])
print(sorted((point.group, point.name, point.value) for d in module.distributions() for point in d.entry_points))
print(module.version("epcache"))
"""


@pytest.fixture(scope="module", autouse=True)
def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root, to make chroots; run `sudo make test-wheels`")


def the_wheel(wheels, libc, machine):
    found = list(wheels.glob(f"*-{libc}*_{machine}.whl"))
    if not found:
        pytest.skip(f"no {libc} wheel for {machine}; see RELEASING.md")
    return found[-1]


def unpack_program(wheel, root):
    """Puts the program of a wheel into the tree `root`, as `/epcache`."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/scripts/epcache"))
        pathlib.Path(root, "epcache").write_bytes(archive.read(name))
    os.chmod(f"{root}/epcache", 0o755)


@pytest.fixture(scope="module")
def aarch64():
    """A system of Debian for aarch64 with Python."""
    if not os.path.exists(EMULATOR):
        pytest.skip(f"needs {EMULATOR}")
    packages = ["python3", "python3-pip", "python3-venv"]
    with chroot.unpacked("trixie", packages, update=False, architecture="arm64") as system:
        shutil.copy(EMULATOR, system.path("/emulator"))
        for directory in ("/proc", "/dev", "/tmp"):
            system.path(directory).mkdir(exist_ok=True)
        system.path("/lib").symlink_to("usr/lib")
        yield system


def run(system, *command):
    """What a command prints there. The kernel can't start it, so `env` in that system can't either."""
    namespaces = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "--net",
    ]
    enter = [*namespaces, "sh", "-c", chroot.ENTER, "enter", system.root, "--", "/emulator"]
    done = subprocess.run([*enter, *command], env=chroot.ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.covers("aarch64", "install")
def test_the_wheel_for_aarch64_works_in_debian_s_python(aarch64, wheels):
    wheel = the_wheel(wheels, "manylinux", "aarch64")
    # What pip does with it is the same everywhere, and takes minutes in an emulator.
    site = "/opt/site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(aarch64.path(site))
    unpack_program(wheel, aarch64.root)
    run(aarch64, "/epcache", "refresh", site)
    run(aarch64, "/epcache", "verify", site)
    listed = run(
        aarch64, "/epcache", "list", "--site", "/usr/lib/python3/dist-packages", "--group", "console_scripts"
    )
    assert "pip" in listed
    assert aarch64.path(f"{site}/.epcache/index").is_file()
    answers = [
        run(aarch64, "/usr/bin/python3", "-c", QUESTION, site, name)
        for name in ("epcache", "importlib.metadata")
    ]
    assert answers[0] == answers[1]
    assert "'pip'" in answers[0]


@pytest.mark.covers("musl")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_program_of_musl_needs_nothing_but_itself(wheels, machine, tmp_path):
    wheel = the_wheel(wheels, "musllinux", machine)
    unpack_program(wheel, tmp_path)
    start = []
    if machine != os.uname().machine:
        shutil.copy(EMULATOR, tmp_path / "emulator")
        start = ["/emulator"]
    info = tmp_path / "site-packages/plugin-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[group]\nname = plugin:run\n")

    def epcache(*arguments):
        command = ["chroot", tmp_path, *start, "/epcache", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert ": 1 added" in epcache("refresh", "/site-packages")
    assert "name = plugin:run" in epcache("list", "--site", "/site-packages", "--group", "group")
    epcache("verify", "/site-packages")
