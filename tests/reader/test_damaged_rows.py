"""A row from a faulty writer, in an index with correct checksums."""

import importlib.metadata

import epcache
from support import index_writer
from support.environments import add


def test_a_distribution_with_a_damaged_row_is_read_from_the_disk(tmp_path, monkeypatch):
    site = tmp_path / "site"
    add(site, "-1.dist-info", metadata="Name: foo\nVersion: 1\n")
    (site / ".epcache").mkdir()
    rows, order = index_writer.rows_of(str(site))
    (row,) = rows
    row.key = row.name = "a\tb"
    path = site / ".epcache" / "index"
    index_writer.replace(str(path), index_writer.render(index_writer.stamp(site), rows, order))
    monkeypatch.setattr("sys.path", [str(site)])
    (right,) = importlib.metadata.distributions()
    (found,) = epcache.distributions()
    attributes = ["name", "version", "_normalized_name"]
    assert [getattr(found, name) for name in attributes] == [getattr(right, name) for name in attributes]
