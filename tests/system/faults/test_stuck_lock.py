"""A stopped process that holds the locks delays a package transaction by two seconds at most."""

import subprocess
import sys
import time

import pytest

from . import scenes
from .campaign import Campaign, worker

# The duration of the trigger itself on a busy machine, and the precision of the measurement.
OTHERWISE = 0.5
HOLD = """
import fcntl, os, signal, sys
files = [open(path, "a") for path in sys.argv[1:]]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture(scope="module")
def campaign():
    made = Campaign()
    yield made
    made.close()


def delayed(kind):
    """The duration of the command while a stopped process holds all locks."""
    scene = worker().scene(kind, True)
    locks = [index.with_name("lock") for index in scene.indexes()]
    assert len(locks) == 2 and all(lock.exists() for lock in locks)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, *locks], stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        start = time.monotonic()
        done = scene.run()
        took = time.monotonic() - start
    finally:
        holder.kill()
        holder.wait()
    worker().examine_answers(scene, "while the locks are held", done.stderr)
    worker().examine_state(scene, "while the locks are held")
    again = scene.run()
    assert (done.returncode, again.returncode) == (0, 0) and not again.stderr
    worker().examine_content(scene)
    assert not scene.leftovers()
    return took, done.stderr


@pytest.mark.parametrize("kind", [scenes.RpmTrigger, scenes.DpkgTrigger], ids=lambda kind: kind.__name__)
def test_a_stuck_holder_of_the_locks_delays_a_trigger_by_two_seconds(campaign, kind, report):
    took, output = campaign.call(delayed, kind)
    report(f"{kind.__name__}: {took:.2f} s with both locks held for ever")
    assert "lock held by another process" in output
    assert 2 <= took < 2 + OTHERWISE
