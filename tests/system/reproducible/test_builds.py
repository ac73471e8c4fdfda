"""Two builds in different places give the same bytes.

They take minutes each: ``make test-reproducible``.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

import pytest
from support.checkout import CHECKOUT

PLACES = ["here", "some/where/else/with-a-longer-name"]


def build(directory, cargo_home, target, **environment):
    """The bytes of what `target` makes, built from a copy of the sources in that directory."""
    directory.mkdir(parents=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, stdout=subprocess.PIPE, check=True)
    for name in listed.stdout.decode().rstrip("\0").split("\0"):
        to = directory / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, to)
        shutil.copymode(CHECKOUT / name, to)
    (directory / ".cache").symlink_to(CHECKOUT / ".cache")
    # Downloaded crates are the same ones, under another path.
    cargo_home.mkdir(parents=True)
    theirs = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    for name in ("registry", "config.toml"):
        if (theirs / name).exists():
            (cargo_home / name).symlink_to(theirs / name)
    variables = {**os.environ, "CARGO_HOME": str(cargo_home), **environment}
    for name in ("CARGO_TARGET_DIR", "RUSTFLAGS", "MAKEFLAGS", "MAKELEVEL"):
        variables.pop(name, None)
    subprocess.run(["make", "--quiet", target], cwd=directory, env=variables, check=True)
    if target == "wheel":
        (made,) = (directory / "dist").glob("*.whl")
    else:
        made = directory / "target" / "release" / "epcache"
    return made.read_bytes()


@pytest.mark.parametrize("target", ["build", "wheel"])
def test_the_same_bytes_from_two_directories(tmp_path, target):
    circumstances = [{"TZ": "UTC", "LC_ALL": "C"}, {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}]
    found = []
    for number, (place, around) in enumerate(zip(PLACES, circumstances)):
        directory = tmp_path / place
        data = build(directory, tmp_path / f"cargo{number}", target, **around)
        assert os.fsencode(tmp_path) not in data, f"{place}: the path of the build is in it"
        found.append(hashlib.sha256(data).hexdigest())
        print(target, place, len(data), found[-1])
    assert found[0] == found[1]
