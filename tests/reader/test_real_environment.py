"""The answers on an environment of real packages are those of importlib.metadata."""

import pytest
from support import index_writer
from support.interpreters import ask, asked_the_disk, expected


@pytest.fixture(scope="module")
def indexed(real_site):
    index_writer.write(str(real_site))
    index_writer.write(str(real_site))  # the first write may have made the sidecar and so changed the stamp
    return real_site


def queries_for(entry_points):
    """Every group, and everything that distinguishes its entry points."""
    groups = sorted({group for _, _, group, _ in entry_points})
    names = [name for name, _, _, _ in entry_points[::17]]
    queries = [{}] + [{"group": group} for group in groups]
    queries += [{"name": name} for name in names]
    queries += [{"value": value} for _, value, _, _ in entry_points[::29]]
    queries += [{"name": name, "group": group} for name, _, group, _ in entry_points[::13]]
    queries += [{"group": group, "value": value} for _, value, group, _ in entry_points[::31]]
    queries += [{"module": "pip._internal.cli.main"}, {"attr": "main"}, {"extras": ["cli"]}, {"extras": []}]
    queries += [{"group": "console_scripts", "module": "pip._internal.cli.main"}]
    queries += [{"group": "no such group"}, {"group": "console_scripts", "name": "no such name"}]
    queries += [{"group": None}, {"group": ""}, {"group": "a\nb"}, {"group": "a\tb"}, {"group": "\udc80"}]
    return queries


def test_every_query_is_answered_as_by_importlib_metadata_and_in_its_order(python, indexed):
    (everything,) = expected(python, [indexed], [{}])
    assert len(everything) > 250 and len({group for _, _, group, _ in everything}) > 30
    queries = queries_for(everything)
    found = ask(python, [indexed], queries)
    assert found["warnings"] == []
    assert not asked_the_disk(found)
    for query, answer, right in zip(queries, found["answers"], expected(python, [indexed], queries)):
        assert answer == right, query


def test_without_indexes_the_answers_are_the_same(python, indexed):
    queries = [{}, {"group": "console_scripts"}, {"name": "pytest"}, {"group": "pygments.lexers"}]
    found = ask(python, [indexed], queries, environment={"EPCACHE": "off"})
    assert found["warnings"] == []
    assert asked_the_disk(found)
    assert found["answers"] == expected(python, [indexed], queries)
