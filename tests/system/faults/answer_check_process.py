"""The process behind `answer_check.AnswerCheck`: reads paths of site directories, writes answers, one a line.

Argument: the directory that holds the package `epcache`.
"""

import gc
import importlib.metadata
import json
import os
import sys
import warnings

PACKAGE = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
STDLIB = [path for path in sys.path if path and os.path.abspath(path) != HERE]


def warmed_up():
    """Import everything that is needed once for all forks, with no site directory on the path."""
    import csv  # noqa: F401
    import email.message  # noqa: F401
    import zipfile  # noqa: F401

    sys.path[:] = [PACKAGE, *STDLIB]
    import epcache

    for module in sorted(os.listdir(os.path.join(PACKAGE, "epcache"))):
        name, extension = os.path.splitext(module)
        if extension == ".py" and name not in ("__init__", "__main__", "_pip_hook"):
            importlib.import_module(f"epcache.{name}")
    return epcache


def answers(module):
    points = [(point.group, point.name, point.value) for point in module.entry_points()]
    found = [(dist.metadata["Name"], dist.version) for dist in module.distributions()]
    return {
        "entry_points": sorted(points),
        "one_group": sorted((point.name, point.value) for point in module.entry_points(group="g")),
        "distributions": sorted(found),
        "versions": {name: module.version(name) for name, _ in found[:6]},
        "packages": {name: sorted(who) for name, who in module.packages_distributions().items()},
    }


def compare(epcache, site):
    sys.path[:] = [*STDLIB, site]
    warned = []
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, category, *_: warned.append(f"{category.__name__}: {message}")
    try:
        ours = answers(epcache)
    except Exception as error:
        ours = f"{type(error).__name__}: {error}"
    return {"ours": ours, "expected": answers(importlib.metadata), "warned": warned}


def main():
    epcache = warmed_up()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        reply = json.dumps(compare(epcache, json.loads(line)))
        os.write(1, reply.encode() + b"\n")
        os._exit(0)


main()
