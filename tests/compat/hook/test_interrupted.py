"""pip that is killed, interrupted, or running twice at once."""

import signal
import time

import pytest
from support import wheels

MODULES = 6000


@pytest.fixture
def large(twins):
    """A wheel that takes a while to install."""
    return wheels.make(twins.wheels, "large", "1.0", modules=MODULES)


def in_the_middle(environment, wheel):
    """A pip that has installed a part of the wheel."""
    command = [environment.python, "-m", "pip", "install", "--no-index", "--no-compile", wheel]
    process = environment.start(*command)
    end = time.monotonic() + 60
    while not (environment.site / "large/module_100.py").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.002)
    return process


def assert_a_part_is_there(environment):
    assert 100 < len(list((environment.site / "large").iterdir())) < MODULES


@pytest.mark.covers("pip", "killed")
def test_the_reader_is_right_after_a_killed_pip(twins, large):
    for environment in twins:
        process = in_the_middle(environment, large)
        process.kill()
        assert environment.finished(process)[0] == -signal.SIGKILL
        assert_a_part_is_there(environment)
    # No refresh has run.
    assert twins.hooked.state() == "stale"
    twins.hooked.assert_right()
    twins.install(wheels.make(twins.wheels, "probe", "1.0"))
    twins.assert_refreshed()


@pytest.mark.covers("pip", "killed")
def test_the_reader_is_right_after_a_killed_upgrade(twins, large):
    twins.install(wheels.make(twins.wheels, "large", "0.9", modules=50))
    twins.hooked.assert_fresh()
    process = in_the_middle(twins.hooked, large)
    process.kill()
    twins.hooked.finished(process)
    assert_a_part_is_there(twins.hooked)
    assert twins.hooked.state() == "stale"
    twins.hooked.assert_right()


def test_an_interrupted_pip_leaves_a_fresh_index(twins, large):
    results = []
    for environment in twins:
        process = in_the_middle(environment, large)
        process.send_signal(signal.SIGINT)
        results.append(environment.finished(process))
        assert_a_part_is_there(environment)
    assert results[0] == results[1]
    assert results[0][0] == 1
    assert "Operation cancelled by user" in results[0][1] + results[0][2]
    twins.assert_refreshed()


def test_two_pips_at_a_time_leave_a_fresh_index(twins):
    made = [wheels.make(twins.wheels, name, "1.0", modules=300) for name in ("one", "two", "three")]
    outcomes = []
    for environment in twins:
        command = [environment.python, "-m", "pip", "install", "--no-index"]
        processes = [environment.start(*command, wheel) for wheel in made]
        outcomes.append([environment.finished(process) for process in processes])
        assert [status for status, _, _ in outcomes[-1]] == [0, 0, 0]
    assert outcomes[0] == outcomes[1]
    twins.assert_refreshed()
    names = [name for group, name, _, _ in twins.hooked.installed("epcache") if group == "probe"]
    assert names == ["of_1.0", "of_1.0", "of_1.0", "one", "three", "two"]


def test_one_pip_installs_while_another_uninstalls(twins):
    twins.install(wheels.make(twins.wheels, "gone", "1.0", modules=300))
    wheel = wheels.make(twins.wheels, "new", "1.0", modules=300)
    for environment in twins:
        pip = [environment.python, "-m", "pip"]
        processes = [
            environment.start(*pip, "uninstall", "--yes", "gone"),
            environment.start(*pip, "install", "--no-index", wheel),
        ]
        assert [environment.finished(process)[0] for process in processes] == [0, 0]
    twins.assert_refreshed()
    names = [name for group, name, _, _ in twins.hooked.installed("epcache") if group == "probe"]
    assert names == ["new", "of_1.0"]
