"""Asks for metadata, again and again, while a package manager changes it; run by the Python of a system under test.

Each question is put to `epcache`, or to an accelerated importlib.metadata, between two answers of a plain one.
Each answer is a set of facts. At most one step of the package manager, which is delayed, happens in so short a
time. So an answer is right if it has every fact that both plain answers have, and none that neither has.

That holds for the entry points that a program gets at its start. Where it has asked before, and for versions, the
answer may also be that of any moment since the site directory or its index has changed: dpkg replaces files in a
directory without changing what that lies in, and the trigger follows. It holds for every question about an
environment: its index is believed until the site directory changes, and uv empties a directory before it removes it.

Arguments: the site directory and its index; a file that is made when each question has been answered; a file that
ends the questions; how long two plain answers may be apart, in seconds. Then the names whose versions are asked for.
"""

import json
import os
import signal
import socket
import sys
import time

site, index, ready, stop, limit, *names = sys.argv[1:]
# The modules of Python itself, and the one site directory.
sys.path[:] = [*(entry for entry in sys.path if not entry.endswith("-packages")), site]


def facts(kind, question):
    """What a question gives, as a set; an exception is a fact as well."""
    try:
        return {(kind, *map(str, fact)) for fact in question()}
    except Exception as error:
        return {(kind, type(error).__name__)}


def entry_points(module):
    return facts("entry point", lambda: [(ep.group, ep.name, ep.value) for ep in module.entry_points()])


def version(module, name):
    return facts(f"version of {name}", lambda: [[module.version(name)]])


def versions(module):
    return set().union(*(version(module, name) for name in names))


def metadata(module):
    files = (distribution.metadata for distribution in module.distributions())
    return facts("metadata", lambda: [(file.get("Name"), file.get("Version")) for file in files])


def plain(question):
    import importlib
    import importlib.metadata

    # What it knows of a directory depends on an mtime, which is coarse.
    importlib.invalidate_caches()
    return question(importlib.metadata)


def own(question):
    import epcache

    return question(epcache)


def accelerated(question):
    import epcache

    epcache.accelerate()
    import importlib.metadata

    return question(importlib.metadata)


QUESTIONS = [entry_points, versions, metadata]
# Of a program that has asked before, and of one that starts. The package itself has no metadata of distributions.
KEPT = [(own, 0), (own, 1), (accelerated, 0), (accelerated, 1), (accelerated, 2)]
AT_START = [(own, 0), (accelerated, 0)]


def started(answer):
    """Another process that answers, as a function of a question's number."""
    here, there = socket.socketpair()
    if os.fork() == 0:
        here.close()
        while number := there.recv(1):
            there.sendall(json.dumps(sorted(answer(QUESTIONS[number[0]]))).encode() + b"\n")
        os._exit(0)
    there.close()
    lines = here.makefile()

    def ask(number):
        here.sendall(bytes([number]))
        return set(map(tuple, json.loads(lines.readline())))

    return ask


def stamps():
    return [(path.st_mtime_ns, path.st_ctime_ns, path.st_ino) for path in map(os.stat, (site, index))]


class Asked:
    """A question to a program, and how its answers compare with plain ones."""

    def __init__(self, answer, number, keeps):
        self.answer, self.number = answer, number
        self.program = started(answer) if keeps else None
        self.judged, self.wrong = 0, []
        # What an answer that was kept can be of: since when, and what was read. What was read last.
        self.since, self.kept, self.last = None, [], []

    def ask(self):
        now, start = stamps(), time.monotonic()
        before = ask_plainly(self.number)
        found = (self.program or started(self.answer))(self.number)
        after = ask_plainly(self.number)
        # None stands for a state that may have been missed.
        missed = [None] if time.monotonic() - start >= float(limit) else []
        if now != self.since:
            self.since, self.kept = now, self.last
        self.last = [before, after, *missed]
        self.kept = [*self.kept, *(answer for answer in self.last if answer not in self.kept)]
        possible = self.kept if self.program or index.startswith(site) else self.last
        if None in possible:
            return
        self.judged += 1
        lacks, has = set.intersection(*possible) - found, found - set.union(*possible)
        if lacks or has:
            self.wrong.append([self.answer.__name__, bool(self.program), sorted(lacks), sorted(has)])


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
ask_plainly = started(plain)
all_asked = [Asked(*one, keeps=True) for one in KEPT] + [Asked(*one, keeps=False) for one in AT_START]
states = set()
while not os.path.exists(stop):
    for asked in all_asked:
        asked.ask()
        states |= {str(sorted(answer)) for answer in asked.last if answer is not None}
    open(ready, "w").close()
wrong = [one for asked in all_asked for one in asked.wrong]
print(
    json.dumps({"judged": [asked.judged for asked in all_asked], "states": len(states), "wrong": wrong[:9]})
)
