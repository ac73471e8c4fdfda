"""The run of the suites is able to fail."""

import argparse

import pytest
from support.checkout import debug_program

from . import expected, index_file, run

THIS = run.Run("cpython", "3.12", "settled")
CONTROL = run.Run("cpython", "3.12", "plain")


def result(outcome="passed", could=True, used=True, canary=True):
    test = {"outcome": outcome, "detail": "why\n", "could": could, "used": used}
    return {"tests": {"a.test": test}, "made": 1, "canary": {"importlib.metadata": {"version": canary}}}


@pytest.fixture
def a_test_is_listed(monkeypatch):
    listed = expected.Failure("cpython", ["3.12"], ["settled"], "a.test", "because")
    monkeypatch.setattr(expected, "EXPECTED", [listed])


def test_a_passing_test_with_an_index_is_accepted():
    assert run.problems(THIS, result()) == []


def test_a_failing_test_that_is_not_listed_fails_the_run():
    assert run.problems(THIS, result("failed")) == ["a.test fails\nwhy\n"]


@pytest.mark.usefixtures("a_test_is_listed")
def test_a_listed_test_may_fail_where_it_is_listed():
    assert run.problems(THIS, result("failed")) == []
    assert run.problems(CONTROL, result("failed")) == ["a.test fails\nwhy\n"]


@pytest.mark.usefixtures("a_test_is_listed")
@pytest.mark.parametrize("outcome", ["passed", "skipped"])
def test_a_listed_test_that_does_not_fail_fails_the_run(outcome):
    assert run.problems(THIS, result(outcome)) == ["a.test is expected to fail, and does not"]


def test_a_suite_that_uses_no_index_fails_the_run():
    assert run.problems(THIS, result(used=False)) == ["an index was used in 0 of 1 tests only"]
    assert run.problems(THIS, result(could=False)) == ["an index was used in 0 of 0 tests only"]


def test_an_answer_that_is_not_from_the_index_fails_the_run():
    assert run.problems(THIS, result(canary=False)) == [
        "importlib.metadata.version is not answered from the index"
    ]


def test_an_answer_from_an_outdated_index_fails_the_run():
    outdated = THIS._replace(mode="outdated")
    assert run.problems(outdated, result(used=False, canary=False)) == []
    assert run.problems(outdated, result()) == [
        "importlib.metadata.version is answered from an outdated index"
    ]


@pytest.mark.parametrize("found", [{"broken": "exit status 1"}, {"tests": {}}])
def test_a_suite_that_does_not_run_fails_the_run(found):
    assert len(run.problems(CONTROL, found)) == 1


def an_index(tmp_path):
    info = tmp_path / "site" / "a-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: a\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[one]\na = b:c\n[two]\nd = e:f\n")
    run.suites.run(debug_program(), "refresh", tmp_path / "site")
    return str(tmp_path / "site" / ".epcache" / "index")


def test_an_index_that_is_written_again_has_the_same_bytes(tmp_path):
    path = an_index(tmp_path)
    with open(path, "rb") as file:
        written = file.read()
    header, body = index_file.parts(path)
    index_file.replace(path, header, body)
    with open(path, "rb") as file:
        assert file.read() == written


def test_settling_an_index_changes_its_header(tmp_path):
    path = an_index(tmp_path)
    header, body = index_file.parts(path)
    assert b"settled\tno\n" in header or b"unsettled\t0\n" in header
    index_file.settle(path)
    settled, same = index_file.parts(path)
    assert same == body
    assert b"settled\tyes\n" in settled
    assert len(settled) == len([line for line in header if line != b"unsettled\t0\n"])


def test_the_sample_has_every_interpreter_release_and_mode():
    given = argparse.Namespace(python=None, suite=None, mode=None, sample=False)
    everything = run.runs(given)
    given.sample = True
    sample = run.runs(given)
    assert set(sample) < set(everything)

    def release(each):
        """What is run: CPython's suite of a version, or a release of importlib_metadata."""
        return run.BACKPORTS[each.suite][each.version] if each.suite != "cpython" else each.version

    assert {release(each) for each in sample} == {release(each) for each in everything}
    assert {each.version for each in sample} == {each.version for each in everything}
    for suite in run.SUITES:
        modes = [{each.mode for each in runs if each.suite == suite} for runs in (sample, everything)]
        assert modes[0] == modes[1]
