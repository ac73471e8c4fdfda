"""Every system call of every writing command fails once in each way, and is once the last one.

What must hold after each fault (`campaign.Worker.examine`): the readers' answers equal those of plain
`importlib.metadata`, the exit status is as documented, and the next run repairs everything. The triggers
are run by the scripts of the packages, so that their reaction to a killed trigger is tested as
well.
"""

import time

import pytest

from .campaign import Campaign
from .scenes import SCENES

SECONDS = 7  # for each scene, when only a sample is tried


@pytest.fixture(scope="module")
def campaign():
    made = Campaign()
    yield made
    made.close()


@pytest.mark.parametrize("old", [False, True], ids=["no_index", "old_index"])
@pytest.mark.parametrize("kind", SCENES, ids=[kind.__name__ for kind in SCENES])
def test_a_fault_at_a_call_leaves_no_wrong_answer(campaign, kind, old, complete, rng, report):
    points = campaign.points(kind, old)
    faults = [(point, fault) for point in points for fault in point.faults()]
    assert len(points) > 100 and len(faults) > 500
    chosen = rng.sample(faults, len(faults))
    start = time.time()
    missed, wrong, tried = campaign.run(kind, old, chosen, float("inf") if complete else start + SECONDS)
    before = sum(1 for point, _ in faults if not point.begun)
    report(
        f"{kind.__name__}, {'old' if old else 'no'} index: {len(points)} calls, {len(faults)} faults"
        f" ({before} before main), {tried} tried in {time.time() - start:.0f} s, {len(missed)} not met"
    )
    assert not wrong, f"{len(wrong)} of {tried}\n" + "\n".join(wrong[:20])
    # Whether a process sleeps depends on timing, so such a call is not always made.
    assert len(missed) <= tried / 50, "\n".join(f"{fault}: {point}" for point, fault in missed)
