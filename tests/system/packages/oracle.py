"""Prints what importlib.metadata returns for a site directory; run by the Python of a system under test.

The output is JSON: every distribution there, and the entry points that a program finds, which are those of
the first distribution of each name. The script is passed on standard input, so that nothing of the suite
needs to be installed there.
"""

import importlib.metadata
import json
import sys

site = sys.argv[1]


def described(distribution):
    # get() because indexing for an absent key warns on Python 3.12 and newer.
    metadata = distribution.metadata
    return {
        "directory": distribution._path.name,
        "name": metadata.get("Name"),
        "version": metadata.get("Version"),
        "entry_points": [[point.group, point.name, point.value] for point in distribution.entry_points],
    }


distributions = [described(distribution) for distribution in importlib.metadata.distributions(path=[site])]
sys.path[:] = [site]
found = [
    [
        site,
        point.dist.metadata.get("Name"),
        point.dist.metadata.get("Version"),
        point.group,
        point.name,
        point.value,
    ]
    for point in importlib.metadata.entry_points()
]
print(json.dumps({"distributions": distributions, "found": found}))
