"""Runs CPython's own suite of importlib.metadata in a chroot, in some modes of tests/compat/upstream.

Arguments: the version of Python, the program, the modes. Prints a JSON list of objects:
``mode``, ``passed``, ``wrong`` (what the judgement of tests/compat/upstream finds wrong, as lines).
"""

import concurrent.futures
import json
import sys

from compat.upstream import run, suites

version, tool, *modes = sys.argv[1:]

# The interpreter of the system itself; those that tests/compat/upstream knows are not here.
suites.environment = lambda version: (f"/usr/bin/python{version}", None)


def performed(mode):
    which = run.Run("cpython", version, mode)
    found, _ = run.perform(which, tool)
    passed = 0 if "broken" in found else run.outcomes(found)["passed"]
    return {"mode": mode, "passed": passed, "wrong": run.judge(which, found)}


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    print(json.dumps(list(pool.map(performed, modes))))
