"""Runs CPython's own suite of importlib.metadata in a chroot, in some modes of tests/compat/upstream.

Arguments: the version of Python, the program, the modes. Prints a JSON list of objects:
``mode``, ``passed``, ``wrong`` (the problems that tests/compat/upstream reports, as lines).
"""

import concurrent.futures
import json
import sys

from compat.upstream import run, suites

version, tool, *modes = sys.argv[1:]

# The interpreter of the system itself; the interpreters of tests/compat/upstream are not here.
suites.environment = lambda version: (f"/usr/bin/python{version}", None)


def performed(mode):
    which = run.Run("cpython", version, mode)
    found, _ = run.perform(which, tool)
    passed = 0 if "broken" in found else run.outcomes(found)["passed"]
    return {"mode": mode, "passed": passed, "wrong": run.problems(which, found)}


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    print(json.dumps(list(pool.map(performed, modes))))
