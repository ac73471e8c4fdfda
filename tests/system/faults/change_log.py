"""The changes of a directory, and the answers about it that were possible at a given time.

Every change records when it began and ended, and what it changed. Each answer records when it was asked and
when it was returned, so it can be checked. A package that did not change meanwhile must be in it
unchanged. A package that changed can be in its state before or after, absent, or in both states, as
pip keeps the old one under another name.
"""

import bisect
import time

# The digit after `of_` identifies the package of an entry point, see owner_of.
PIP_S = ["p0", "p1", "p2"]
UV_S = ["u3", "u4", "u5"]
SYSTEM_S = ["s6", "s7", "s8"]


def versions(package):
    return [f"{package[1]}.{number}" for number in range(1, 4)]


def points(package, version):
    return frozenset([package, f"of_{version}"])


class ChangeLog:
    """The changes of one directory, by package."""

    def __init__(self, packages):
        self.changes = {package: [] for package in packages}
        self.now = dict.fromkeys(packages, frozenset())

    def change(self, package, how, after):
        """Let `how()` bring a package to another state: the set of its entry points."""
        before = self.now[package]
        start = time.monotonic_ns()
        how()
        self.changes[package].append((start, time.monotonic_ns(), before, after))
        self.now[package] = after

    def possible(self, package, start, end):
        """The states in which it may be found between two times."""
        changes = self.changes[package]
        first = bisect.bisect_left(changes, start, key=lambda change: change[1])
        during = [change for change in changes[first:] if change[0] <= end]
        if not during:
            return [changes[first - 1][3] if first else frozenset()]
        found = []
        for _, _, before, after in during:
            found += [before, after, before | after, frozenset()]
        return found

    def check(self, answer):
        """The problem with an answer, if any, and whether only one answer would have been correct."""
        start, end, names = answer
        left = set(names)
        exact = True
        for package in self.changes:
            found = frozenset(name for name in names if owner_of(name) == package)
            left -= found
            possible = self.possible(package, start, end)
            exact = exact and len(possible) == 1
            if found not in possible:
                return f"{package}: {sorted(found)}, not one of {sorted(map(sorted, possible))}", exact
        return (f"of nobody: {sorted(left)}" if left else None), exact


def owner_of(name):
    """The package of an entry point, by its name: ``p0`` and ``of_0.1`` are those of p0 0.1."""
    return "pus"[int(name[3]) // 3] + name[3] if name.startswith("of_") else name
