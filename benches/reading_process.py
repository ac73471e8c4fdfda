"""One process that runs a query and reports how long that took.

    reading_process.py LIBRARY QUESTION GROUP

LIBRARY: ``epcache``, ``accelerated`` (`importlib.metadata` in an environment with acceleration) or
``plain`` (`importlib.metadata` without it). QUESTION: ``group``, ``pluggy`` or ``packages``.

Prints as JSON the times in ms of the import, of the first answer and of later ones; for a group also
those of answers about a group that has not been queried before, and the answer itself.
"""

import gc
import sys

# Processor time: nothing here waits, and other load on the machine would mostly affect the library that
# takes a hundred times as long.
from time import thread_time_ns as now

LATER = 5
# The groups of `site_directory` with the most plugins, after the one that is queried first.
OTHERS = [f"ba{syllable}.plugins" for syllable in ("no", "ra", "se")]

library, question, group = sys.argv[1:]
finder = [finder for finder in sys.meta_path if getattr(finder, "__name__", None) == "epcache_startup"]
if library == "accelerated" and not finder:
    sys.exit("acceleration is not enabled")
if library == "plain":
    sys.meta_path[:] = [one for one in sys.meta_path if one not in finder]


def of_group(metadata):
    """A function that queries one group."""
    if library != "epcache" and sys.version_info < (3, 10):
        return lambda group: metadata.entry_points().get(group, ())
    return lambda group: metadata.entry_points(group=group)


def as_pluggy(metadata):
    """A function that reads all distributions, as ``PluginManager.load_setuptools_entrypoints`` does."""

    def load(group):
        found = []
        for distribution in list(metadata.distributions()):
            for entry_point in distribution.entry_points:
                if entry_point.group != group:
                    continue
                found.append(entry_point)
        return found

    return load


def packages(metadata):
    """A function that queries all importable names."""
    return lambda group: metadata.packages_distributions()


def plain(found):
    """An answer as plain data that can be compared and printed."""
    if isinstance(found, dict):
        return {name: list(distributions) for name, distributions in found.items()}
    return [[entry.group, entry.name, entry.value] for entry in found]


def timed(ask, group):
    """The time in ms, and the answer."""
    start = now()
    found = ask(group)
    return (now() - start) / 1e6, found


start = now()
if library == "epcache":
    import epcache as metadata
else:
    from importlib import metadata
imported = (now() - start) / 1e6
# Collect the garbage of the import here, so that it does not count for the first answer.
gc.collect()
ask = {"group": of_group, "pluggy": as_pluggy, "packages": packages}[question](metadata)
first, answer = timed(ask, group)
result = {"import": imported, "first": first}
if library == "epcache" and "importlib.metadata" in sys.modules:
    result["from the disk"] = True
slow = library == "plain" and question == "packages"
result["later"] = sorted(timed(ask, group)[0] for _ in range(1 if slow else LATER))
if question == "group":
    result["others"] = sorted(timed(ask, other)[0] for other in OTHERS)
result["answer"] = plain(answer)

import json

print(json.dumps(result))
