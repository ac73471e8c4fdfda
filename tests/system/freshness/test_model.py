"""The answers that the oracle allows, and those that it does not."""

import pytest
from support.simulation import edits

from . import moments
from .moments import Found, Window


def of(key, version, *values):
    entry_points = tuple((f"n{value}", value, "g") for value in values)
    return Found(key, key, version, entry_points, tuple(f"p{value}" for value in values))


OLD = {"foo-1.dist-info": of("foo", "1", "a"), "bar-1.dist-info": of("bar", "1", "b")}
NEW = {"foo-1.dist-info": of("foo", "2", "c"), "bar-1.dist-info": of("bar", "1", "b")}
GONE = {"bar-1.dist-info": of("bar", "1", "b")}
GROUP = ["entry_points", "g"]
A, B, C = ("na", "a", "g"), ("nb", "b", "g"), ("nc", "c", "g")


@pytest.mark.parametrize(
    "moments_of_read, answer, allowed",
    [
        ([OLD], [A, B], True),
        ([OLD], [B, A], True),
        ([OLD], [A], False),
        ([OLD], [A, B, B], False),
        ([OLD], [C, B], False),
        ([OLD, NEW], [A, B], True),
        ([OLD, NEW], [C, B], True),
        ([OLD, NEW], [A, C, B], False),
        ([OLD, NEW], [B], False),
        ([OLD, GONE], [B], True),
        ([OLD, GONE], [A], False),
    ],
)
def test_entry_points_are_of_a_moment_distribution_by_distribution(moments_of_read, answer, allowed):
    assert Window(moments_of_read, 0, {}).allows(GROUP, answer) == allowed


def test_earlier_states_are_allowed_only_during_an_installation():
    history = [OLD, NEW]
    assert not Window(history, 1, {}).allows(GROUP, [A, B])
    assert Window(history, 1, {"foo-1.dist-info": 0}).allows(GROUP, [A, B])
    assert not Window(history, 1, {"bar-1.dist-info": 0}).allows(GROUP, [A, B])


def test_of_two_distributions_with_one_name_the_first_counts():
    both = {"foo-1.dist-info": of("foo", "1", "a"), "foo-2.dist-info": of("foo", "2", "c")}
    assert Window([both], 0, {}).allows(GROUP, [A])
    assert not Window([both], 0, {}).allows(GROUP, [C])
    assert not Window([both], 0, {}).allows(GROUP, [A, C])
    assert Window([both], 0, {}).allows(["version", "Foo"], ["1"])
    assert not Window([both], 0, {}).allows(["version", "Foo"], ["2"])


@pytest.mark.parametrize(
    "moments_of_read, answer, allowed",
    [
        ([OLD], ["1"], True),
        ([OLD], ["2"], False),
        ([OLD], [], False),
        ([OLD, NEW], ["2"], True),
        ([OLD, GONE], [], True),
        ([GONE], [], True),
        ([GONE], ["1"], False),
    ],
)
def test_versions(moments_of_read, answer, allowed):
    assert Window(moments_of_read, 0, {}).allows(["version", "foo"], answer) == allowed


def test_distributions():
    answer = [("foo-1.dist-info", "foo", "1"), ("bar-1.dist-info", "bar", "1")]
    assert Window([OLD], 0, {}).allows(["distributions"], answer)
    assert not Window([OLD], 0, {}).allows(["distributions"], answer[:1])
    assert not Window([NEW], 0, {}).allows(["distributions"], answer)
    assert Window([OLD, NEW], 0, {}).allows(["distributions"], answer)
    assert not Window([GONE], 0, {}).allows(["distributions"], answer)


def test_packages():
    question = ["packages_distributions"]
    foo, new, bar = ("pa", "foo"), ("pc", "foo"), ("pb", "bar")
    assert Window([OLD], 0, {}).allows(question, [foo, bar])
    assert not Window([OLD], 0, {}).allows(question, [foo])
    assert not Window([OLD], 0, {}).allows(question, [new, bar])
    assert Window([OLD, NEW], 0, {}).allows(question, [new, bar])
    assert not Window([OLD, NEW], 0, {}).allows(question, [bar])
    assert Window([OLD, GONE], 0, {}).allows(question, [bar])


def test_a_moment_matches_importlib_metadata(tmp_path):
    base = tmp_path / "foo-1.dist-info"
    edits.put(str(base / "METADATA"), "Name: foo\nVersion: 1\n")
    edits.put(str(base / "entry_points.txt"), "[g]\nna = a\n")
    edits.put(str(base / "RECORD"), "pa.py,,\n")
    assert moments.moment(str(tmp_path)) == {"foo-1.dist-info": of("foo", "1", "a")}
    edits.put(str(base / "entry_points.txt"), "[g]\nnc = c\n")
    assert moments.moment(str(tmp_path))["foo-1.dist-info"].entry_points == (C,)
