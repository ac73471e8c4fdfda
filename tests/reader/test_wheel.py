"""What `pip install epcache` installs, and what remains after its removal."""

import base64
import contextlib
import csv
import email
import hashlib
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import zipfile

import pytest
from support import wheel_build
from support.environments import uv
from support.interpreters import INTERPRETERS, run
from support.wheel_build import CHECKOUT


def modules(directory):
    """The files of our packages in a directory, without byte code."""
    files = [path for path in directory.glob("*/**/*") if path.suffix in (".py", ".typed")]
    return sorted(str(path.relative_to(directory)) for path in files)


MODULES = modules(CHECKOUT / "python")
VERSION = re.search('^version = "(.*)"', (CHECKOUT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def tree(directory):
    """Everything below a directory, with the attributes that show changes."""
    found = {}
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            path = pathlib.Path(parent, name)
            content = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
            found[str(path.relative_to(directory))] = (path.lstat().st_mode, content)
    return found


def new_environment(directory, python):
    """A virtual environment with the newest pip and nothing else; its interpreter."""
    run(python, "-m", "venv", "--without-pip", directory)
    run(uv(), "pip", "install", "--quiet", "--python", directory / "bin/python", "pip")
    return directory / "bin/python"


@contextlib.contextmanager
def waiting(*command, **options):
    """A process that has become the program, whose command waits for input."""
    # No refresh at its end may interfere.
    with tempfile.TemporaryDirectory() as site:
        command = [*command, "run", site, "--", "cat"]
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, **options)
        try:
            end = time.monotonic() + 10
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
            while not (os.readlink(f"/proc/{process.pid}/exe").endswith("/epcache") and children.read_text()):
                assert process.poll() is None and time.monotonic() < end, command
                time.sleep(0.01)
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdin.close()


def program_of(*command, **options):
    """The path of the program that a command becomes."""
    with waiting(*command, **options) as process:
        return os.readlink(f"/proc/{process.pid}/exe")


@pytest.fixture(scope="module")
def environment(python, tmp_path_factory):
    """The interpreter of an environment into which pip has installed the wheel, and its files before."""
    directory = tmp_path_factory.mktemp("wheel") / "venv"
    interpreter = new_environment(directory, python)
    before = tree(directory)
    run(interpreter, "-m", "pip", "install", "--no-index", wheel_build.wheel())
    return interpreter, before


@pytest.fixture
def rival(tmp_path):
    """Variables with another program of the same name first on PATH."""
    directory = tmp_path / "rival"
    directory.mkdir()
    (directory / "epcache").write_text("#!/bin/sh\necho rival\n")
    (directory / "epcache").chmod(0o755)
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def with_pip(tmp_path_factory):
    return new_environment(tmp_path_factory.mktemp("pip") / "venv", INTERPRETERS["3.12"])


class TestTheWheel:
    def test_has_the_modules_and_the_program_and_nothing_else(self):
        info = f"epcache-{VERSION}.dist-info"
        with zipfile.ZipFile(wheel_build.wheel()) as archive:
            assert sorted(archive.namelist()) == sorted(
                MODULES
                + [f"epcache-{VERSION}.data/scripts/epcache"]
                + [f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL")]
                + [f"{info}/sboms/epcache.cyclonedx.json"]
                + [f"{info}/licenses/{name}" for name in ("LICENSE-APACHE", "LICENSE-MIT")]
            )
            for name in MODULES:
                assert archive.read(name) == (CHECKOUT / "python" / name).read_bytes()
            for name in ("LICENSE-APACHE", "LICENSE-MIT"):
                assert archive.read(f"{info}/licenses/{name}") == (CHECKOUT / name).read_bytes()
            modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
        program = modes.pop(f"epcache-{VERSION}.data/scripts/epcache")
        assert program == 0o755
        # Installers write a RECORD of their own.
        del modes[f"{info}/RECORD"]
        assert set(modes.values()) == {0o644}

    def test_has_a_correct_record(self):
        with zipfile.ZipFile(wheel_build.wheel()) as archive:
            record = archive.read(f"epcache-{VERSION}.dist-info/RECORD").decode()
            rows = list(csv.reader(io.StringIO(record)))
            assert sorted(row[0] for row in rows) == sorted(archive.namelist())
            for name, digest, size in rows:
                if not name.endswith("/RECORD"):
                    content = archive.read(name)
                    expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
                    assert (digest, size) == (f"sha256={expected.decode()}", str(len(content)))

    def test_describes_itself(self):
        with zipfile.ZipFile(wheel_build.wheel()) as archive:
            metadata = email.message_from_bytes(archive.read(f"epcache-{VERSION}.dist-info/METADATA"))
            tags = email.message_from_bytes(archive.read(f"epcache-{VERSION}.dist-info/WHEEL")).get_all("Tag")
        assert (metadata["Name"], metadata["Version"]) == ("epcache", VERSION)
        assert metadata["License-Expression"] == "MIT OR Apache-2.0"
        assert metadata["Requires-Python"] == ">=3.9"
        assert metadata.get_all("Requires-Dist") is None
        assert metadata.get_all("License-File") == ["LICENSE-APACHE", "LICENSE-MIT"]
        prefix = "Programming Language :: Python :: 3."
        versions = [text for text in metadata.get_all("Classifier") if text.startswith(prefix)]
        assert versions == [prefix + str(minor) for minor in range(9, 15)]
        assert metadata.get_payload().rstrip() == (CHECKOUT / "README.md").read_text().rstrip()
        assert tags
        assert all(re.fullmatch(r"py3-none-(many|musl)?linux(2014)?_\w+", tag) for tag in tags)

    def test_contains_no_build_paths(self):
        with zipfile.ZipFile(wheel_build.wheel()) as archive:
            for name in archive.namelist():
                for place in (CHECKOUT, pathlib.Path.home() / ".cargo"):
                    assert os.fsencode(place) not in archive.read(name), name


class TestTheSdist:
    def test_has_the_sources_and_nothing_else(self):
        top = f"epcache-{VERSION}/"
        with tarfile.open(wheel_build.sdist()) as archive:
            files = {entry.name: entry for entry in archive.getmembers() if not entry.isdir()}
            assert sorted(files) == sorted(top + name for name in [*wheel_build.sources(), "PKG-INFO"])
            for name in set(wheel_build.sources()) - {"Cargo.toml"}:
                assert archive.extractfile(top + name).read() == (CHECKOUT / name).read_bytes(), name

    def test_becomes_the_same_wheel_by_pip(self, tmp_path):
        interpreter = new_environment(tmp_path / "venv", INTERPRETERS["3.13"])
        with zipfile.ZipFile(wheel_build.wheel()) as ours:
            with zipfile.ZipFile(wheel_build.wheel_from_sdist(interpreter)) as theirs:
                assert sorted(ours.namelist()) == sorted(theirs.namelist())
                for name in ours.namelist():
                    if name in MODULES or "/licenses/" in name or name.endswith("/METADATA"):
                        assert ours.read(name) == theirs.read(name), name
        run(interpreter, "-m", "pip", "install", "--no-index", wheel_build.wheel_from_sdist(interpreter))
        assert run(interpreter, "-m", "epcache", "--version") == f"epcache {VERSION}\n"


class TestInstalled:
    def test_the_program_runs_by_its_name_and_as_a_module(self, environment):
        interpreter, _ = environment
        assert run(interpreter.with_name("epcache"), "--version") == f"epcache {VERSION}\n"
        assert run(interpreter, "-m", "epcache", "--version") == f"epcache {VERSION}\n"
        assert run(interpreter, "-IB", "-m", "epcache", "--version") == f"epcache {VERSION}\n"

    def test_pip_check_passes(self, environment):
        assert run(environment[0], "-m", "pip", "check") == "No broken requirements found.\n"

    def test_the_index_that_the_program_makes_is_used_by_the_reader(self, environment):
        interpreter, _ = environment
        directory = interpreter.parents[1]
        code = """
import warnings, sys
warnings.simplefilter("error")
import epcache
print(sorted((ep.group, ep.name, ep.value) for ep in epcache.entry_points()))
print("importlib.metadata" in sys.modules)
"""
        without, _ = run(interpreter, "-IB", "-c", code).splitlines()
        assert "pip._internal" in without
        run(interpreter.with_name("epcache"), "refresh", "--venv", directory)
        (site,) = directory.glob("lib/python3.*/site-packages")
        try:
            assert run(interpreter, "-IB", "-c", code).splitlines() == [without, "False"]
        finally:
            shutil.rmtree(site / ".epcache")

    def test_statuses_and_signals_are_those_of_the_program(self, environment):
        interpreter, _ = environment
        module, program = [interpreter, "-m", "epcache"], [interpreter.with_name("epcache")]
        for arguments in (["--version"], ["no-such-command"], ["status", "/nonexistent"], ["refresh", "/-"]):
            results = []
            for command in (module, program):
                done = subprocess.run([*command, *arguments], capture_output=True, text=True)
                results.append((done.returncode, done.stdout, done.stderr))
            assert results[0] == results[1]
        for command in (module, program):
            with waiting(*command) as process:
                # Signals that the interpreter ignores, such as SIGXFSZ, would stay ignored.
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                ignored = int(re.search(r"SigIgn:\s*(\w+)", status)[1], 16)
                assert not ignored & 1 << signal.SIGXFSZ - 1
                process.terminate()
                assert process.wait(10) == 128 + signal.SIGTERM

    # This test comes last: it removes what the others use.
    def test_uninstalling_leaves_nothing(self, environment):
        interpreter, before = environment
        run(interpreter, "-m", "pip", "uninstall", "--yes", "epcache")
        assert tree(interpreter.parents[1]) == before


class TestTheProgramOfThePackage:
    """`python -m epcache` finds the program of the package, wherever it was installed."""

    @pytest.mark.parametrize("scheme", ["--target", "--prefix"])
    def test_is_found_in_another_directory(self, scheme, with_pip, rival, tmp_path):
        place = tmp_path / "place"
        run(with_pip, "-m", "pip", "install", "--no-index", scheme, place, wheel_build.wheel())
        site = place if scheme == "--target" else place / "lib/python3.12/site-packages"
        command = [INTERPRETERS["3.12"], "-m", "epcache"]
        variables = {**rival, "PYTHONPATH": str(site)}
        assert run(*command, "--version", env=variables) == f"epcache {VERSION}\n"
        assert program_of(*command, env=variables) == str(place / "bin/epcache")

    def test_is_found_among_the_users_own(self, with_pip, rival, tmp_path):
        base = tmp_path / "base"
        variables = {**rival, "PYTHONUSERBASE": str(base)}
        # A pip outside of an environment, which uses the user's directory.
        variables["PYTHONPATH"] = str(with_pip.parents[1] / "lib/python3.12/site-packages")
        command = [INTERPRETERS["3.12"], "-m"]
        run(*command, "pip", "install", "--no-index", "--user", wheel_build.wheel(), env=variables)
        assert program_of(*command, "epcache", env=variables) == str(base / "bin/epcache")

    def test_is_found_where_distributions_put_it(self, rival, tmp_path):
        with zipfile.ZipFile(wheel_build.wheel()) as archive:
            (tmp_path / "target/release").mkdir(parents=True)
            program = archive.read(f"epcache-{VERSION}.data/scripts/epcache")
            (tmp_path / "target/release/epcache").write_bytes(program)
        for python_dir in ("/usr/lib/python3/dist-packages", "/usr/lib/python3.12/site-packages"):
            root = tmp_path / python_dir.replace("/", "-")
            settings = [f"DESTDIR={root}", f"PYTHON_DIR={python_dir}", f"CARGO_TARGET_DIR={tmp_path}/target"]
            run("make", "-C", CHECKOUT, "install", *settings)
            site = root / python_dir.lstrip("/")
            assert modules(site) == MODULES
            command = [INTERPRETERS["3.12"], "-m", "epcache"]
            variables = {**rival, "PYTHONPATH": str(site)}
            assert program_of(*command, env=variables) == str(root / "usr/bin/epcache")

    def test_is_found_on_path_where_the_package_has_none(self, rival, tmp_path):
        command = [INTERPRETERS["3.12"], "-m", "epcache"]
        variables = {**rival, "PYTHONPATH": str(CHECKOUT / "python")}
        assert run(*command, env=variables) == "rival\n"
        # Not from the working directory, whatever PATH contains.
        variables["PATH"] = ":.:rival"
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert done.returncode == 127
        assert done.stdout == ""
        assert done.stderr.splitlines() == [
            "epcache: no such program beside the package or on PATH",
            "hint: python -m pip install --force-reinstall epcache",
            "hint: where no wheel has the program, add --no-binary epcache",
        ]
