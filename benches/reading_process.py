"""One process that asks for the entry points of one group, and says how long that took.

Arguments: epcache, importlib.metadata, both or forgetting, site directory, group. For both, it asks the
one and the other in turn, many times; forgetting is the same where the reader may not remember what it
has read of the index. Otherwise it asks once.
"""

import sys

# The processor's time: neither waits for anything, and what else the machine does would mostly fall
# on the one that takes a hundred times as long.
from time import thread_time_ns as now

PAIRS = 30
IN_A_ROW = 5

libraries, site, group = sys.argv[1:]
# As the module site would leave it, which -S has kept from running: it takes longer than what is
# measured, and imports half of the standard library where the installation has .pth files.
sys.path[:] = [*sys.path[1:], site]


def with_epcache():
    """Import it, and return what asks for the group."""
    from epcache import entry_points

    return lambda: entry_points(group=group)


def forget():
    """Make the reader read the index again."""
    from epcache import _discovery

    _discovery._recent.clear()


def with_importlib():
    """The same."""
    from importlib.metadata import entry_points

    if sys.version_info < (3, 10):
        return lambda: entry_points().get(group, ())
    return lambda: entry_points(group=group)


def once(ask_with):
    """Time the import and the first answer."""
    start = now()
    ask = ask_with()
    imported = now()
    found = ask()
    answered = now()
    return {"import": (imported - start) / 1e6, "call": (answered - imported) / 1e6, "answer": plain(found)}


def in_turn(prepare):
    """Time some calls of the one, then some of the other, each being the first as often."""
    asks = with_epcache(), with_importlib()
    answers = [plain(ask()) for ask in asks]
    if answers[0] != answers[1]:
        sys.exit("different answers")
    pairs = []
    for number in range(PAIRS):
        times = [0, 0]
        for which in (0, 1) if number % 2 else (1, 0):
            times[which] = sorted(time_of(asks[which], prepare) for _ in range(IN_A_ROW))[IN_A_ROW // 2] / 1e6
        pairs.append(times)
    return {"pairs": pairs, "answer": answers[0]}


def time_of(ask, prepare):
    """Nanoseconds."""
    prepare()
    start = now()
    ask()
    return now() - start


def plain(found):
    """Entry points as something that can be compared and printed."""
    return sorted([entry.group, entry.name, entry.value] for entry in found)


if libraries in ("both", "forgetting"):
    result = in_turn(forget if libraries == "forgetting" else lambda: None)
else:
    result = once(with_epcache if libraries == "epcache" else with_importlib)
    if libraries == "epcache" and "importlib.metadata" in sys.modules:
        sys.exit("the answer did not come from the index")

import json  # noqa: E402

print(json.dumps(result))
