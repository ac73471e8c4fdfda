"""Run by the Python of a system under test: prints what importlib.metadata says of the
site directory given, as JSON: of every distribution there, and the entry points that a
program finds, which are those of the first distribution of each name.

It is given on standard input, so that nothing of the suite needs to be installed there.
"""

import importlib.metadata
import json
import sys

site = sys.argv[1]


def described(distribution):
    # get() because indexing for what is not there warns on Python 3.12 and newer.
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
