"""What each wheel of a release holds, and which one pip takes."""

import json
import os
import pathlib
import re
import sys
import zipfile

import pytest
from support.checkout import CHECKOUT
from support.interpreters import run

from . import other_machines

NEWEST_GLIBC = (2, 17)  # manylinux2014


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def with_program(wheels):
    return [wheel for wheel in sorted(wheels.glob("*.whl")) if not wheel.name.endswith("-any.whl")]


def reader_alone(wheels):
    (wheel,) = wheels.glob("*-py3-none-any.whl")
    return wheel


def modules(archive):
    return {name: archive.read(name) for name in archive.namelist() if name.endswith((".py", ".typed"))}


def extract(wheel, directory):
    """The program of a wheel, in that directory."""
    (name,) = (name for name in names(wheel) if name.endswith("/scripts/epcache"))
    program = directory / "epcache"
    with zipfile.ZipFile(wheel) as archive:
        program.write_bytes(archive.read(name))
    program.chmod(0o755)
    return program


def test_there_is_a_wheel_for_this_system_and_one_for_all_others(wheels):
    assert any("manylinux2014_" + os.uname().machine in wheel.name for wheel in with_program(wheels))
    assert reader_alone(wheels).is_file()
    assert len(list(wheels.glob("epcache-*.tar.gz"))) == 1


def test_no_wheel_contains_a_path_of_the_build(wheels):
    home = pathlib.Path.home()
    places = [CHECKOUT, home / ".cargo", home / ".rustup", *other_machines.PLACES]
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                content = archive.read(name)
                for place in places:
                    assert os.fsencode(place) not in content, (wheel.name, name)


def test_the_program_needs_no_newer_c_library_than_the_tag_names(wheels, tmp_path):
    for wheel in with_program(wheels):
        program = extract(wheel, tmp_path)
        dynamic = run("readelf", "--wide", "--dynamic", "--dyn-syms", program)
        found = {tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", dynamic)}
        if "musllinux" in wheel.name:
            assert "(NEEDED)" not in dynamic, f"{wheel.name} is not static"
            assert found == set()
        else:
            assert found and max(found) <= NEWEST_GLIBC, wheel.name
            needed = set(re.findall(r"NEEDED.*\[(\w+)", dynamic))
            assert needed <= {"libc", "libm", "libpthread", "libdl", "libgcc_s", "ld"}, wheel.name


def test_the_list_of_crates_names_all_that_are_linked(wheels):
    for wheel in with_program(wheels):
        (name,) = (name for name in names(wheel) if "/sboms/" in name)
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(name).decode()
        assert "file:" not in text
        listed = json.loads(text)
        assert listed["metadata"]["component"]["bom-ref"].startswith("pkg:cargo/epcache@")
        components = {(each["name"], each["version"]) for each in listed["components"]}
        tree = ["cargo", "tree", "--locked", "--prefix", "none", "--edges", "normal", "--format", "{p}"]
        linked = {tuple(line.split()[:2]) for line in run(*tree, cwd=CHECKOUT).splitlines() if line}
        linked = {(crate, version.lstrip("v")) for crate, version in linked} - {("epcache", _version())}
        assert len(linked) > 20
        assert linked <= components


def test_both_kinds_have_the_same_modules_and_metadata(wheels):
    with zipfile.ZipFile(reader_alone(wheels)) as archive:
        reader, described = modules(archive), metadata(archive)
    assert not [name for name in names(reader_alone(wheels)) if "/scripts/" in name or "/sboms/" in name]
    for wheel in with_program(wheels):
        with zipfile.ZipFile(wheel) as archive:
            assert modules(archive) == reader
            assert metadata(archive) == described


@pytest.mark.parametrize(
    "platform, expected",
    [
        (f"manylinux_2_17_{os.uname().machine}", "manylinux"),
        (f"manylinux_2_39_{os.uname().machine}", "manylinux"),
        ("manylinux_2_17_aarch64", "manylinux"),
        ("musllinux_1_2_x86_64", "musllinux"),
        ("musllinux_1_2_aarch64", "musllinux"),
        ("manylinux_2_35_riscv64", "any"),
        ("macosx_14_0_arm64", "any"),
    ],
)
def test_pip_takes_the_wheel_with_the_program_where_it_fits(wheels, platform, expected, tmp_path):
    machine = re.search("(x86_64|aarch64|riscv64|arm64)$", platform)[0]
    if expected != "any" and not list(wheels.glob(f"*{expected}*_{machine}.whl")):
        pytest.skip(f"no {expected} wheel for {machine}; see RELEASING.md")
    # A later pip knows that an older manylinux tag fits as well; this one is told.
    fitting = [platform, f"manylinux2014_{machine}"] if expected == "manylinux" else [platform]
    platforms = [option for tag in fitting for option in ("--platform", tag)]
    from_there = ["--no-index", "--find-links", wheels, "--only-binary", ":all:", "--dest", tmp_path]
    run(sys.executable, "-m", "pip", "download", *from_there, *platforms, "epcache")
    (taken,) = tmp_path.iterdir()
    assert expected in taken.name.rpartition("-")[2]
    assert expected == "any" or taken.stem.endswith(machine)


def metadata(archive):
    """The lines of METADATA that say what is installed, in any order."""
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    head, _, text = archive.read(name).decode().partition("\n\n")
    fields = ("Name:", "Version:", "Summary:", "Requires-", "Classifier:", "License-")
    return sorted(line for line in head.splitlines() if line.startswith(fields)), text.strip()


def _version():
    return re.search('^version = "(.*)"', (CHECKOUT / "Cargo.toml").read_text(), re.MULTILINE)[1]
