"""Run by an interpreter in a mount namespace of its own: two installations within one second.

Arguments: the reader's directory, an empty site directory on a file system whose stamps are whole
seconds, and what the watcher trusts: "guard", or "stamp" to switch the guard off. Prints JSON: what
`import` and `importlib.metadata` found of the second package before the watcher's look and after it,
and what the watcher reported.
"""

import importlib.metadata
import json
import os
import sys
import time

sys.path.insert(0, sys.argv[1])
from epcache import _watched_directory, _watched_distribution
from epcache._watcher import Watcher

site = sys.argv[2]
ATTEMPTS = 50


def stamp():
    info = os.stat(site)
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size


def install(name):
    with open(f"{site}/{name}.py", "w") as module:
        module.write("found = True\n")
    directory = f"{site}/{name}-1.dist-info"
    os.mkdir(directory)
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n\n",
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
    """Install two within one second; None if it struck meanwhile."""
    first, second = f"first{number}", f"second{number}"
    time.sleep(1 - time.time() % 1)
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
    if stamp() != before:
        return None
    return {
        "stamp": before,
        "plain": plain,
        "added": [one.name for one in reported.added],
        "after": after,
        "later": sum(len(part) for part in watcher.poll()),
    }


if sys.argv[3] == "stamp":
    _watched_directory.GUARD = _watched_distribution.GUARD = 0.0
sys.path.append(site)
watcher = Watcher([site])
for number in range(ATTEMPTS):
    found = attempt(watcher, number)
    if found:
        print(json.dumps({"number": number, **found}))
        break
else:
    sys.exit("two installations never fell into one second")
