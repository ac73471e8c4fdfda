"""Run by the Python of a system under test: prints what importlib.metadata says, as JSON.

Arguments: the site directories. It is given on standard input, so that nothing of the
suite needs to be installed there.
"""

import importlib.metadata
import json
import sys


def described(distribution, site):
    # get() because indexing for what is not there warns on Python 3.12 and newer.
    metadata = distribution.metadata
    return {
        "site": site,
        "directory": distribution._path.name,
        "name": metadata.get("Name"),
        "version": metadata.get("Version"),
        "entry_points": [[point.group, point.name, point.value] for point in distribution.entry_points],
    }


print(
    json.dumps(
        [
            described(distribution, site)
            for site in sys.argv[1:]
            for distribution in importlib.metadata.distributions(path=[site])
        ]
    )
)
