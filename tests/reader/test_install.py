"""`make install` and `make uninstall`, as packagers and administrators call them."""

import base64
import hashlib
import importlib.metadata
import os
import shutil
import stat
import subprocess

import pytest
from support.checkout import CHECKOUT, debug_program

PYTHON_DIR = "/usr/lib/python3/dist-packages"
# Directories that other packages have files in.
SHARED = [
    "usr/bin",
    "usr/lib/sysusers.d",
    "usr/lib/systemd/system",
    "usr/lib/systemd/system-preset",
    "usr/lib/tmpfiles.d",
    "usr/share/doc",
    "usr/share/man/man8",
    PYTHON_DIR.lstrip("/"),
]


@pytest.fixture
def make(tmp_path):
    """Calls make with a target, and with variables and another umask; returns where it installs."""
    target = tmp_path / "target"
    (target / "release").mkdir(parents=True)
    shutil.copy(debug_program(), target / "release/epcache")
    destination = tmp_path / "destination"

    def call(name, *variables, umask=0o022):
        done = subprocess.run(
            ["make", name, f"DESTDIR={destination}", "PREFIX=/usr", f"PYTHON_DIR={PYTHON_DIR}", *variables],
            cwd=CHECKOUT,
            env={**os.environ, "CARGO_TARGET_DIR": str(target)},
            umask=umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return destination

    return call


def everything_below(top):
    return sorted(
        os.path.relpath(os.path.join(directory, name), top)
        for directory, directories, files in os.walk(top)
        for name in [*directories, *files]
    )


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_every_user_can_read_what_is_installed_whatever_the_umask(make, umask):
    destination = make("install", umask=umask)
    for directory, _, names in os.walk(destination):
        assert stat.S_IMODE(os.lstat(directory).st_mode) == 0o755, directory
        for name in names:
            path = os.path.join(directory, name)
            wanted = 0o755 if path.endswith("/bin/epcache") else 0o644
            assert os.path.islink(path) or stat.S_IMODE(os.lstat(path).st_mode) == wanted, path
            assert not path.endswith(".pyc"), path


def test_nothing_of_what_was_installed_is_left_after_uninstall(make, tmp_path):
    destination = tmp_path / "destination"
    for directory in SHARED:
        (destination / directory).mkdir(parents=True)
    (destination / "usr/bin/theirs").write_text("")
    before = everything_below(destination)
    make("install")
    assert len(everything_below(destination)) > len(before) + 40
    # As an interpreter does.
    subprocess.run(["python3", "-m", "compileall", "-q", destination / PYTHON_DIR[1:]], check=True)
    make("uninstall")
    assert everything_below(destination) == before
    make("uninstall")
    # What was put beside it stays.
    make("install")
    ours = destination / "usr/share/doc/epcache/notes"
    ours.write_text("")
    make("uninstall")
    assert set(everything_below(destination)) - set(before) == {
        "usr/share/doc/epcache",
        "usr/share/doc/epcache/notes",
    }


def test_the_program_is_stripped_unless_a_package_wants_its_debug_information(make):
    def sections(*variables):
        program = make("install", *variables) / "usr/bin/epcache"
        assert subprocess.run([program, "--version"], stdout=subprocess.PIPE).returncode == 0
        return subprocess.run(
            ["readelf", "--section-headers", "--wide", program], check=True, capture_output=True, text=True
        ).stdout

    assert ".symtab" in sections("STRIP=") and ".symtab" not in sections()


def test_the_installed_distribution_has_a_complete_record(make):
    site = make("install", "INSTALLER=someone") / PYTHON_DIR[1:]
    (distribution,) = importlib.metadata.distributions(path=[str(site)])
    assert (distribution.metadata["Name"], distribution.read_text("INSTALLER")) == ("epcache", "someone\n")
    recorded = {str(file): file for file in distribution.files}
    assert sorted(recorded) == sorted(name for name in everything_below(site) if (site / name).is_file())
    for name, file in recorded.items():
        if file.name == "RECORD":
            continue
        data = (site / name).read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert (file.hash.mode, file.hash.value, file.size) == ("sha256", digest, len(data)), name
