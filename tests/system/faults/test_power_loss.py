"""After a power cut while an index is written, readers notice it or are right."""

import time

import pytest

from . import answer_check
from .campaign import Campaign, Wrong, worker
from .power import LargeEnvironment, LargeTrigger, boot, leave_temporary, put, recorded, states

SAMPLE = 120  # of each kind, unless all are tried
SECONDS = 10  # at most, for a sample


@pytest.fixture(scope="module")
def campaign():
    made = Campaign()
    yield made
    made.close()


def prepared(kind, count):
    """A scene after the command, the bytes of the old index and of the new one."""
    while True:
        scene = worker().scene(type(kind.__name__, (kind,), {"count": count}), True)
        old = scene.indexes()[0].read_bytes()
        new = b"".join(recorded(scene))
        assert new != old
        # With equal lengths, the rest of the old index is where a reader looks for the new one. The length
        # depends on chance, mainly on the number of digits in the checksums.
        if kind is LargeEnvironment or len(new) == len(old):
            return scene, old, new
        scene.remove()


def check_states(kind, count, rng, complete):
    """In a process with a private machine: the problems, and the number of states tried."""
    scene, old, new = prepared(kind, count)
    site, index = scene.sites[0], scene.indexes()[0]
    expected = worker().answer_check.answers(site)["expected"]
    found = {}
    most = None if complete else SAMPLE if len(new) < 10_000 else SAMPLE // 2
    for what, data in states(new, old, rng, most):
        found.setdefault(data, what)
    # A complete old header means the old index, though possibly damaged: see below.
    header = old[: int(old[29:39])]
    assert header.endswith(b"\n") and new[: len(header)] != header
    found = [state for state in found.items() if not state[0].startswith(header)]
    rng.shuffle(found)
    wrong = []
    checked = 0
    until = time.monotonic() + SECONDS
    for data, what in found:
        if not complete and time.monotonic() > until:
            break
        checked += 1
        put(index, data)
        if worker().answer_check.wrong(site):
            wrong.append(f"{what}: {worker().answer_check.wrong(site)}")
        [(word, _)] = answer_check.states(site)
        if word in ("fresh", "unsettled") and data != new:
            wrong.append(f"{what}: epcache status reports {word}")
        if rng.random() < 0.02:
            refresh_as_after_boot(scene, site, index)
    assert worker().answer_check.answers(site)["expected"] == expected
    scene.remove()
    return wrong, checked, len(new)


def refresh_as_after_boot(scene, site, index):
    scene.run() if scene.caller is None else boot(scene.variables)
    if worker().answer_check.wrong(site):
        raise Wrong("not fixed")
    worker().examine_content(scene)
    assert not scene.leftovers()


@pytest.mark.parametrize("kind", [LargeEnvironment, LargeTrigger], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("count", [6, 60], ids=["small", "large"])
def test_every_state_left_by_a_power_cut_is_noticed(campaign, kind, count, rng, complete, report):
    wrong, checked, size = campaign.call(check_states, kind, count, rng, complete)
    report(f"{kind.__name__}: {checked} states of an index of {size} bytes")
    assert checked > 20
    assert not wrong, f"{len(wrong)} of {checked}\n" + "\n".join(wrong[:20])


def scribbled(old, rng):
    """An index with a complete header, and holes elsewhere."""
    header = int(old[29:39])
    holes = [(rng.randrange(header, len(old) - 4), 4) for _ in range(3)]
    for start, length in holes:
        old = old[:start] + bytes(length) + old[start + length :]
    return old


def stay_old(kind, rng):
    """The rename is lost, and the temporary file has random content."""
    scene, old, new = prepared(kind, 6)
    site, index = scene.sites[0], scene.indexes()[0]
    for what, data in [("all", new), *rng.sample(list(states(new, old, rng, 100)), 20)]:
        put(index, rng.choice([old, scribbled(old, rng)]))
        leave_temporary(index, data)
        if kind is LargeEnvironment and worker().answer_check.wrong(site):
            raise Wrong(what)
        refresh_as_after_boot(scene, site, index)
    scene.remove()


@pytest.mark.parametrize("kind", [LargeEnvironment, LargeTrigger], ids=lambda kind: kind.__name__)
def test_an_old_index_is_noticed_or_replaced_at_boot(campaign, kind, rng):
    """After a rebuild of a package only the refresh at boot can know that the index is old. After an
    installer has changed the directory, readers see it."""
    campaign.call(stay_old, kind, rng)
