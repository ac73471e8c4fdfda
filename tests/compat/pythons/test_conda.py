"""Environments of conda, changed by rattler."""

import pytest
from support import wheels
from support.checkout import debug_program
from support.interpreters import run

from .conda import Conda
from .places import STEPS, Place, play, variables


@pytest.fixture
def conda(tmp_path):
    return Conda(tmp_path)


def play_with(conda, directory, *words, **options):
    """The history by transactions, each run by `words`."""

    def transact(*specs):
        run(*words, *conda.transaction(*specs), env=variables(CONDA_PREFIX=str(conda.prefix)))

    def install(wheel):
        conda.add(wheel)
        transact("other", "probe=" + wheel.name.split("-")[1])
        (entry_points,) = conda.site.glob("probe-*.dist-info/entry_points.txt")
        assert entry_points.stat().st_nlink > 1

    place = Place(conda.site, [conda.prefix / "bin/python"])
    conda.add(wheels.make(directory, "other", "1"))
    transact("other")
    place.refresh()
    play(place, directory / "wheels", install, lambda: transact("other"), **options)


@pytest.mark.covers("conda", *STEPS)
def test_transactions_without_epcache(conda, tmp_path):
    play_with(conda, tmp_path)


@pytest.mark.covers("conda", *STEPS)
def test_transactions_by_epcache_run(conda, tmp_path):
    play_with(conda, tmp_path, debug_program(), "run", "--", is_refreshed=True)
