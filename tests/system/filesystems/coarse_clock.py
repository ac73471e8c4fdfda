"""Two installations within one second; run by an interpreter in its own mount namespace.

Arguments: the reader's directory, an empty site directory on a file system with stamps in whole seconds,
and what the watcher trusts: "guard", or "stamp" to switch the guard off. Prints JSON: what `import` and
`importlib.metadata` found of the second package before the watcher's poll and after it, what the watcher
reported, and what it reported when the second was edited in place within the same second, too.
"""

import importlib.metadata
import json
import os
import sys
import time

sys.path.insert(0, sys.argv[1])
from epcache.watcher import Watcher, directory, distribution

site = sys.argv[2]
ATTEMPTS = 50


def stamp(path=site):
    info = os.stat(path)
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size


def install(name):
    with open(f"{site}/{name}.py", "w") as module:
        module.write("found = True\n")
    directory = f"{site}/{name}-1.dist-info"
    os.mkdir(directory)
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n\n",
        "entry_points.txt": "[plugins]\na = m:one\n",
        "RECORD": f"{name}.py,,\n",
        "INSTALLER": "pip\n",
    }
    for file, text in texts.items():
        with open(f"{directory}/{file}", "w") as target:
            target.write(text)


def state(name):
    """What this process finds of a package."""
    try:
        __import__(name)
        imported = True
    except ModuleNotFoundError:
        imported = False
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    return {"imported": imported, "version": version}


def attempt(watcher, number):
    """Install two packages within one second; None if the second ended meanwhile."""
    first, second = f"first{number}", f"second{number}"
    # The file system's clock is some milliseconds late.
    time.sleep(1.03 - time.time() % 1)
    install(first)
    reported = watcher.poll()
    assert first in [one.name for one in reported.added]
    # From here on the import system has the directory's listing.
    assert state(first) == {"imported": True, "version": "1"}
    before = stamp()
    install(second)
    if stamp() != before:
        watcher.poll()
        return None
    plain = state(second)
    reported = watcher.poll()
    after = state(second)
    entry_points = f"{site}/{second}-1.dist-info/entry_points.txt"
    stamp_of_text = stamp(entry_points)
    with open(entry_points, "r+") as text:
        text.write("[plugins]\na = m:two\n")
    if stamp() != before or stamp(entry_points) != stamp_of_text:
        return None
    at_once = watcher.poll()
    time.sleep(3.2)
    return {
        "stamp": before,
        "plain": plain,
        "added": [one.name for one in reported.added],
        "after": after,
        "at once": sum(map(len, at_once)),
        "rewritten": [one.name for one in watcher.poll().updated],
        "later": sum(map(len, watcher.poll())),
    }


if sys.argv[3] == "stamp":
    directory.SETTLE_AFTER = distribution.SETTLE_AFTER = 0
sys.path.append(site)
watcher = Watcher([site])
for number in range(ATTEMPTS):
    found = attempt(watcher, number)
    if found:
        print(json.dumps({"number": number, **found}))
        break
else:
    sys.exit("two installations never fell into one second")
