"""The commands and the Python code of the README work as described."""

import os
import re
import subprocess
import sys

import pytest
from support.checkout import CHECKOUT
from support.interpreters import READER

README = (CHECKOUT / "README.md").read_text()


def blocks(language, section):
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, f"no {language} in the section {section}"
    return found


@pytest.fixture(scope="module")
def shell(epcache, tmp_path_factory):
    """A function that runs a command where an environment `.venv` is active."""
    home = tmp_path_factory.mktemp("home")
    subprocess.run([sys.executable, "-m", "venv", home / ".venv"], check=True)
    (home / "bin").mkdir()
    (home / "bin" / "epcache").symlink_to(epcache.binary)
    variables = {
        "HOME": str(home),
        "PATH": f"{home}/bin:{home}/.venv/bin:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(home / ".venv"),
        "PYTHONPATH": str(READER),
    }

    def call(*command):
        return subprocess.run(command, cwd=home, env=variables, capture_output=True, text=True, timeout=60)

    call.home = home
    return call


@pytest.fixture
def installed(shell):
    """The packages and the program in the environment, as pip would install them."""
    (site,) = (shell.home / ".venv").glob("lib/python3*/site-packages")
    links = {site / package.name: package for package in READER.glob("epcache*")}
    links[shell.home / ".venv/bin/epcache"] = shell.home / "bin/epcache"
    for link, target in links.items():
        link.symlink_to(target)
    yield
    for link in links:
        link.unlink()


def test_the_commands_of_the_section_use(shell, installed):
    lines = "".join(blocks("sh", "Use")).splitlines()
    assert len(lines) >= 8
    for line in lines:
        done = shell("sh", "-c", line)
        # Whether every index of this machine is fresh does not depend on the README.
        allowed = (0, 1) if line.startswith("epcache status") else (0,)
        assert done.returncode in allowed, (line, done)
        assert done.stdout or "list" in line or "run" in line, (line, done)


def test_the_commands_of_the_section_start(shell, installed):
    (block,) = blocks("sh", "Start")
    install, *lines = block.splitlines()
    # Its effect is tested with the wheel.
    assert install == "make wheel && .venv/bin/pip install dist/epcache-*.whl"
    for line in lines:
        done = shell("sh", "-c", line)
        # A new environment is unsettled at first.
        allowed = (0, 1) if " status " in line else (0,)
        assert done.returncode in allowed and done.stdout, (line, done)
    shell("epcache", "disable")


def test_the_targets_of_make_exist():
    makefile = (CHECKOUT / "Makefile").read_text()
    targets = re.findall(r"^make ([a-z-]+)", "".join(blocks("sh", "Try it from a checkout")), re.MULTILINE)
    assert len(targets) == 3
    assert [target for target in targets if not re.search(f"^{target}:", makefile, re.MULTILINE)] == []


def test_the_python_of_the_section_use(shell):
    shell("epcache", "refresh")
    (block,) = blocks("python", "Use")
    done = shell("python", "-W", "error::epcache.StaleIndexWarning", "-c", block)
    assert done.returncode == 0, done
    assert re.search(r"^pip pip\._internal\.cli\.main:main [0-9.]+$", done.stdout, re.MULTILINE), done
