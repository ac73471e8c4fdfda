"""Prints the entry points of a site directory by `epcache` and by importlib.metadata, as JSON.

Run by the Python of a system under test. `from_index` means that the index said where to look: of the
distributions there, the reader has opened nothing but the entry points of those that have some. Without an
index it looks for them in all distributions. The package of the reader itself has none.
"""

import json
import os
import sys
import warnings

site = sys.argv[1]
everywhere = list(sys.path)
# Only the modules of Python itself, so that programs can be imported. They come first: the first entry on
# the path is opened in any case, to be listed where that is cheaper than to look for an index.
one_site = [*(entry for entry in sys.path if not entry.endswith("-packages")), site]
looked_at = []


def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir"):
        looked_at.append(str(arguments[0]))


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import epcache

    sys.path[:] = one_site
    sys.addaudithook(watch)
    points = epcache.entry_points()
    assert all(point.group is not None and point.name is not None for point in points)
    from_index = all(
        os.path.basename(path) == "entry_points.txt" and os.path.exists(path)
        for path in looked_at
        if path.startswith(site + "/") and ("dist-info" in path or "egg-info" in path)
    )
    found = sorted((point.group, point.name, point.value) for point in points)
    groups = sorted({group for group, _, _ in found})
    one_by_one = sorted(
        (point.group, point.name, point.value)
        for group in groups
        for point in epcache.entry_points(group=group)
    )
    sys.path[:] = everywhere
    whole_path = sorted((point.group, point.name, point.value) for point in epcache.entry_points())

import importlib.metadata


def expected(path):
    sys.path[:] = path
    result = importlib.metadata.entry_points()
    # Before Python 3.12 a mapping from groups.
    points = [point for group in result.values() for point in group] if isinstance(result, dict) else result
    return sorted((point.group, point.name, point.value) for point in points)


print(
    json.dumps(
        {
            "found": found,
            "one_by_one": one_by_one,
            "whole_path": whole_path,
            "expected": expected(one_site),
            "expected_whole_path": expected(everywhere),
            "from_index": from_index,
            "warnings": [f"{warning.category.__name__}: {warning.message}" for warning in caught],
        }
    )
)
