"""Watches a site directory until stdin is closed; run by an interpreter of any supported version.

Arguments: the reader's directory, the site directory, a file that holds the number of polls (8 bytes),
the longest pause between two polls in seconds. Prints what is installed, then each non-empty report, as
lines of JSON. It ends when all pending changes have been reported.
"""

import json
import mmap
import random
import select
import sys
import time

sys.path.insert(0, sys.argv[1])
from epcache.watcher import Watcher

site, counter, pause = sys.argv[2], sys.argv[3], float(sys.argv[4])
watcher = Watcher([site])


def print_json(what):
    print(json.dumps(what), flush=True)


def poll():
    changes = watcher.poll()
    if changes:
        print_json({kind: [one._asdict() for one in ones] for kind, ones in changes._asdict().items()})
    return changes


print_json([one._asdict() for one in watcher.installed()])
with open(counter, "r+b") as file, mmap.mmap(file.fileno(), 8) as polls:
    while not select.select([sys.stdin], [], [], random.uniform(0, pause))[0]:
        poll()
        polls[:] = (int.from_bytes(polls, "little") + 1).to_bytes(8, "little")
rest = time.monotonic() + 7
while time.monotonic() < rest:
    poll()
    time.sleep(0.1)
print_json([one._asdict() for one in watcher.installed()])
