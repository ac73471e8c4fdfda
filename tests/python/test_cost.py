"""What an answer costs: the calls to the kernel, counted."""

import sys

import epcache
import index_writer
import pytest
from environments import add
from epcache import _discovery, _index, _locate


class Recorder:
    """Stands for the module `posix` and remembers what was asked of it."""

    def __init__(self, module):
        self.calls = []
        self._module = module

    def __getattr__(self, name):
        found = getattr(self._module, name)
        if not callable(found):
            return found

        def call(*arguments, **options):
            self.calls.append(name)
            return found(*arguments, **options)

        return call


@pytest.fixture
def calls(monkeypatch):
    recorder = Recorder(_index.posix)
    for module in (_index, _discovery):
        monkeypatch.setattr(module, "posix", recorder)
    monkeypatch.setattr(_locate, "caches", lambda: [])
    return recorder.calls


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = tmp_path / "site"
    for number in range(500):
        group = f"group{number % 20}"
        points = (
            f"[console_scripts]\ntool{number} = p{number}:main\n[{group}]\np{number} = p{number}:Plugin\n"
        )
        add(site, f"p{number}-1.dist-info", points if number % 3 == 0 else None)
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    monkeypatch.setattr(sys, "path", [str(site)])
    return site


READ = ["stat", "open", "fstat", "pread", "pread"]  # the header, and the mark at the end


def test_a_group_that_is_not_there_costs_reading_the_header(site, calls):
    assert epcache.entry_points(group="none") == ()
    assert calls == [*READ, "close"]


def test_a_group_costs_its_own_segment_and_the_order(site, calls):
    assert len(epcache.entry_points(group="group3")) == 9
    assert calls == [*READ, "pread", "pread", "close"]


def test_a_group_of_one_distribution_costs_its_own_segment(site, calls):
    add(site, "single-1.dist-info", "[single]\na = m:f\nb = m:g\n")
    index_writer.write(str(site))
    assert len(epcache.entry_points(group="single")) == 2
    assert calls == [*READ, "pread", "close"]


def test_all_groups_cost_reading_the_file_once(site, calls):
    assert len(epcache.entry_points()) == 2 * 167
    assert calls == [*READ, "pread", "close"]


def test_the_table_is_read_when_another_site_directory_has_the_group_too(site, calls, tmp_path, monkeypatch):
    first = tmp_path / "first"
    add(first, "p3-2.dist-info")
    (first / ".epcache").mkdir()
    index_writer.write(str(first))
    monkeypatch.setattr(sys, "path", [str(first), str(site)])
    assert epcache.entry_points(group="none") == ()
    assert calls == [*READ, *READ, "close", "close"]
    calls.clear()
    assert len(epcache.entry_points(group="group3")) == 8
    # Of the second the group, of the first the table, of the second the table, and its order.
    assert sorted(calls) == sorted([*READ, *READ, "pread", "pread", "pread", "pread", "close", "close"])


def test_an_answer_that_was_given_before_costs_two_looks(site, calls):
    first = epcache.entry_points(group="group3")
    calls.clear()
    assert epcache.entry_points(group="group3") == first
    assert calls == ["stat", "lstat"]
    assert epcache.entry_points(group="group3", name="p3") == (first["p3"],)


def test_an_answer_is_forgotten_when_the_index_is_replaced(site, calls):
    first = epcache.entry_points(group="group3")
    (site / "p3-1.dist-info" / "entry_points.txt").write_text("[group3]\np3 = other:f\n")
    index_writer.write(str(site))
    calls.clear()
    second = epcache.entry_points(group="group3")
    assert second["p3"].value == "other:f" != first["p3"].value
    assert calls == ["stat", "lstat", *READ[1:], "pread", "pread", "close"]


def test_an_answer_is_not_enough_when_a_later_site_directory_has_the_group_too(
    site, calls, tmp_path, monkeypatch
):
    second = tmp_path / "second"
    add(second, "p3-2.dist-info", "[group3]\nhidden = m:f\n")
    add(second, "q-1.dist-info", "[group3]\nq = m:f\n")
    alone = epcache.entry_points(group="group3")
    monkeypatch.setattr(sys, "path", [str(site), str(second)])
    for _ in range(2):
        both = epcache.entry_points(group="group3")
        assert tuple(both)[:-1] == tuple(alone)
        assert tuple(both)[-1].name == "q"
