"""Records what passes of the tests that docs/coverage.md names: a line in the file `$EPCACHE_COVERAGE`, if it is set.

A test, or its module, says so by a mark: ``@pytest.mark.covers("apt", "install", "upgrade")`` names a row of
`tools/coverage.py` and the columns that the test shows.
"""

import json
import os

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "covers(row, *columns): what docs/coverage.md says that was run")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    place = os.environ.get("EPCACHE_COVERAGE")
    if not place or call.when != "call" or not outcome.get_result().passed:
        return
    with open(place, "a") as file:
        for mark in item.iter_markers("covers"):
            row, *columns = mark.args
            file.write(json.dumps({"row": row, "columns": columns}) + "\n")
