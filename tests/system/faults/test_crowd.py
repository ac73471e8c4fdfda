"""Fifty concurrent writers and fifty readers: no wrong answer, no lost update, no endless wait."""

import pytest

from .campaign import Campaign, worker
from .crowd import Crowd

SECONDS = {False: 15, True: 60}


@pytest.fixture(scope="module")
def campaign():
    made = Campaign()
    yield made
    made.close()


def happen(seconds, seed):
    crowd = Crowd(worker().directory / "crowd", seed)
    crowd.happen(seconds)
    checked, exact, wrong = crowd.check_answers()
    return crowd.counts, crowd.problems, checked, exact, wrong, crowd.left()


def test_fifty_writers_and_fifty_readers(campaign, request, complete, report):
    seconds = request.config.option.seconds or SECONDS[complete]
    seed = request.config.option.seed
    counts, problems, checked, exact, wrong, left = campaign.call(happen, seconds, seed)
    report(f"{seconds} s of {counts}: {checked} answers, {exact} of them while nothing was being changed")
    assert not problems, "\n".join(problems[:10])
    assert not wrong, f"{len(wrong)} of {checked}\n" + "\n".join(wrong[:20])
    assert not left, "\n".join(left)
    # The run must have exercised what it tests.
    assert min(counts.values()) > 0 and counts["written"] > 10 * seconds
    assert checked > 50 * seconds and exact > checked / 20
