"""When `epcache refresh` seals an index, when it does not, and what it writes."""

import os
import re
import shutil
import subprocess
import time

import pytest
from support import index_reader, index_writer
from support.checkout import CHECKOUT

from .inside import ask, is_proven, right
from .trees import EPCACHE, Environment, System

OLD = time.time() - 100_000


@pytest.fixture
def environment(place):
    """An environment with two distributions whose stamps are old."""
    environment = Environment.make(place / "tree")
    environment.install("alpha-1", "beta-1")
    return environment


@pytest.fixture
def system(place):
    root = place / "tree"
    root.mkdir()
    system = System.make(root)
    system.dpkg("alpha-1")
    return system


def refresh(*arguments):
    """Refresh; returns the standard error."""
    command = [EPCACHE, "refresh", *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stderr


def parsed(path):
    return index_reader.parse(path.read_bytes())


def test_a_sealed_file_follows_the_format(environment):
    environment.refresh("--seal")
    path = environment.site / ".epcache/index"
    seal = parsed(path).seal
    assert os.stat(path).st_mtime_ns == seal.time * 10**9
    assert seal.names == index_reader.names_hash(os.listdir(os.fsencode(environment.site)))
    assert seal.witnesses == {} and parsed(path).settled and not parsed(path).unsettled


def test_the_command_of_the_guide_to_images_seals(environment):
    text = (CHECKOUT / "docs/howto/images.md").read_text()
    (command,) = re.findall(r"^ && (/opt/venv/bin/epcache refresh .*)", text, re.MULTILINE)
    # It finds the environment by the place of the program, so that is there.
    shutil.copy(EPCACHE, environment.root / "opt/venv/bin/epcache")
    arguments = command.replace("/opt/venv", str(environment.root / "opt/venv")).split()
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert environment.status()["sealed"]


def test_a_system_index_has_the_package_database_as_a_witness(system):
    assert system.refresh()["sealed"]
    found = os.stat(system.database)
    assert parsed(system.index).seal.witnesses == {
        b"/var/lib/dpkg/status": (found.st_mtime_ns // 10**9, found.st_size)
    }


def test_an_index_sealed_by_another_program_is_proven(environment, place):
    site = environment.site
    (site / ".epcache").mkdir()
    os.utime(site, (OLD, OLD))
    index_writer.write(str(site), seal=[])
    shutil.copytree(environment.root, place / "copy", symlinks=True)
    copy = Environment(place / "copy")
    assert is_proven(copy, place)
    right(copy)
    assert copy.status()["state"] == "fresh"


def test_sealing_waits_until_new_stamps_are_old_enough(environment):
    before = time.monotonic()
    assert environment.refresh("--seal")["sealed"]
    assert 2 < time.monotonic() - before < 5
    # After that there is nothing to wait for, and nothing to write.
    index = os.stat(environment.site / ".epcache/index")
    before = time.monotonic()
    assert environment.refresh("--seal")["sealed"]
    assert time.monotonic() - before < 1
    assert os.stat(environment.site / ".epcache/index").st_ino == index.st_ino


def test_another_refresh_makes_an_ordinary_index(environment):
    assert environment.refresh("--seal")["sealed"]
    assert not environment.refresh()["sealed"]
    assert environment.status()["sealed"] is False
    assert parsed(environment.site / ".epcache/index").seal is None


def test_an_index_below_another_root_is_sealed_unless_switched_off(system):
    assert not system.refresh("--no-seal")["sealed"]
    assert system.refresh()["sealed"]


def test_an_explicitly_set_mtime_is_replaced_in_an_environment(environment):
    environment.refresh()
    os.utime(environment.site, (OLD, OLD))
    assert environment.refresh("--seal")["sealed"]
    assert os.stat(environment.site).st_mtime > time.time() - 60


@pytest.mark.parametrize("name", ["site", "database"])
def test_an_explicitly_set_mtime_is_no_proof_for_a_system(system, name):
    os.utime(getattr(system, name), (OLD, OLD))
    message = refresh("--system", "--root", system.root, "--seal")
    assert "not sealed: the mtime of the " in message and "was set explicitly" in message
    assert system.status()["sealed"] is False
    right(system)


@pytest.mark.parametrize("name", ["site", "database"])
def test_a_time_in_the_future_is_no_proof(system, name):
    then = time.time() + 100_000
    os.utime(getattr(system, name), (then, then))
    assert "not sealed: " in refresh("--system", "--root", system.root, "--seal")
    assert system.status()["sealed"] is False


def test_an_index_of_another_users_directory_is_not_sealed(environment, place):
    (place / "cache").mkdir(mode=0o777)
    os.chown(place / "cache", 4242, 4242)
    command = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", EPCACHE, "refresh", "--seal"]
    done = subprocess.run(
        [*command, environment.site],
        capture_output=True,
        text=True,
        env={"XDG_CACHE_HOME": str(place / "cache")},
    )
    assert "not sealed: the directory belongs to another user" in done.stderr, done


def test_strict_mode_checks_every_distribution(environment, place, monkeypatch):
    environment.refresh("--seal")
    shutil.copytree(environment.root, place / "copy", symlinks=True)
    copy = Environment(place / "copy")
    monkeypatch.setenv("EPCACHE", "strict")
    assert not is_proven(copy, place)
    assert ask(copy, "3.13", "own") == ask(copy, "3.13", "plain")


def test_an_invalid_seal_is_not_accepted(environment, place):
    site = environment.site
    (site / ".epcache").mkdir()
    rows, order = index_writer.rows_of(str(site))
    copy = Environment(place / "copy")
    for line in (b"", b"x\t1", b"1", b"1\t2\t3", b"1\t2\tx y /z", b"-1\t2", b"1\t2\t- -"):
        data = index_writer.render(index_writer.stamp(str(site)), rows, order, seal=line)
        index_writer.replace(str(site / ".epcache/index"), data)
        shutil.copytree(environment.root, copy.root, symlinks=True)
        assert ask(copy, "3.13", "own") == ask(copy, "3.13", "plain"), line
        assert not is_proven(copy, place), line
        assert copy.status()["state"] == "stale", line
        shutil.rmtree(copy.root)


def test_a_table_that_does_not_match_the_directory_is_not_accepted(environment, place):
    site = environment.site
    (site / ".epcache").mkdir()
    now = int(time.time())
    rows, order = index_writer.rows_of(str(site))
    seal = index_writer.sealed(str(site), now)
    data = index_writer.render(index_writer.stamp(str(site)), rows[:1], [0], seal=seal)
    index_writer.replace(str(site / ".epcache/index"), data)
    os.utime(site / ".epcache/index", (now, now))
    shutil.copytree(environment.root, place / "copy", symlinks=True)
    copy = Environment(place / "copy")
    assert not is_proven(copy, place)
    right(copy)
    assert copy.status()["state"] == "stale"
