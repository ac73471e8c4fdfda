"""A reader of `crowd`: queries repeatedly, and records the time and the names of each answer.

Arguments: the directory of the package `epcache`; ``own`` or ``accelerated``; the site directory; the
file for the answers; a file whose appearance ends it; a random seed; whether to query only once.
"""

import json
import os
import sys
import time
import warnings

package, role, site, answer_file, stop, seed, once = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
standard = [path for path in sys.path if path and os.path.abspath(path) != here]
sys.path[:] = [package, *standard]

import random

import epcache
import epcache_startup  # noqa: F401 - by which `accelerate` works, and which lies beside it

warnings.simplefilter("ignore")
sys.path[:] = [*standard, site]
if role == "own":

    def ask():
        return [point.name for point in epcache.entry_points(group="probe")]

else:
    import importlib.metadata

    epcache.accelerate()

    def ask():
        found = importlib.metadata.entry_points()
        if isinstance(found, dict) and sys.version_info < (3, 10):
            return [point.name for point in found.get("probe", ())]
        return [point.name for point in found.select(group="probe")]


rng = random.Random(int(seed))
with open(answer_file, "a", buffering=1) as file:
    while True:
        start = time.monotonic_ns()
        names = ask()
        end = time.monotonic_ns()
        file.write(json.dumps([start, end, sorted(names)]) + "\n")
        if int(once) or os.path.exists(stop):
            break
        time.sleep(rng.random() * 0.15)
