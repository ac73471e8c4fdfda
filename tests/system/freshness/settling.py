"""Measures the granularity of a file system's stamps, and how long a trigger waits for its clock."""

import json
import os
import time

from support.simulation import contents, edits

from .stage import Stage

SECOND = 10**9
ALLOWED = 20_000_000  # ns that a trigger may wait beyond the granularity: twice the longest tick of a kernel


def granularity(directory):
    """The smallest difference between two stamps, in ns; None if all are equal."""
    path = os.path.join(directory, "clock")
    edits.put(path, "x")
    seen = set()
    end = time.monotonic() + 5
    while time.monotonic() < end and len(seen) < (3 if all(stamp % SECOND == 0 for stamp in seen) else 300):
        os.chmod(path, 0o600 if len(seen) % 2 else 0o644)
        seen.add(os.stat(path).st_ctime_ns)
        if len(seen) == 1 and next(iter(seen)) == 0:
            break
    os.unlink(path)
    stamps = sorted(seen)
    steps = [later - earlier for earlier, later in zip(stamps, stamps[1:])]
    return min(steps) if steps else None


def waits(filesystem, epcache, count):
    """The waiting time in s of each of `count` triggers, right after a change by a package manager."""
    import random

    rng = random.Random(1)
    root = filesystem.make_room("settling", lambda room: None)
    stage = Stage(root, epcache, {"a": "system"})
    stage.put("usr/lib/epcache/config.toml", 'site-directories = ["/s/a"]\n')
    found = []
    for _ in range(count):
        distribution = contents.a_distribution(rng, 0)
        for _step in edits.distro_install(stage.site("a"), distribution):
            pass
        output = stage.run("trigger", "dpkg", "--json", DPKG_ROOT=stage.root).stdout
        found.append(json.loads(output)["waited"])
    filesystem.leave_room("settling")
    return found


def measured(filesystem, epcache):
    """Granularity (ns) and the longest wait (s)."""
    granule = granularity(filesystem.top)
    most = None
    # A wait can also be one for the processor: the best of three is the one for the clock.
    for _ in range(3):
        longest = max(waits(filesystem, epcache, 4 if granule and granule >= SECOND else 25))
        most = longest if most is None else min(most, longest)
        if most * SECOND <= (granule or 0) + ALLOWED:
            break
    return granule, most
