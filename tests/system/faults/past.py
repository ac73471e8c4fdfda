"""What has been done to a directory, and which answers about it were possible when.

Everything that changes a directory notes when it began and when it was done, and what it changed.
So each answer, which notes when it was asked for and when it was there, can be judged: a package that
nobody was changing meanwhile must be there just as it is, and one that somebody was can be as
before, as afterwards, gone, or both at once, as pip keeps the old one under another name.
"""

import bisect
import time

# The digit after `of_` tells whose an entry point is, see owner_of.
PIP_S = ["p0", "p1", "p2"]
UV_S = ["u3", "u4", "u5"]
SYSTEM_S = ["s6", "s7", "s8"]


def versions(package):
    return [f"{package[1]}.{number}" for number in range(1, 4)]


def points(package, version):
    return frozenset([package, f"of_{version}"])


class Past:
    """What has been done to one directory, package for package."""

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
        """The states in which it can have been found between two moments."""
        changes = self.changes[package]
        first = bisect.bisect_left(changes, start, key=lambda change: change[1])
        during = [change for change in changes[first:] if change[0] <= end]
        if not during:
            return [changes[first - 1][3] if first else frozenset()]
        found = []
        for _, _, before, after in during:
            found += [before, after, before | after, frozenset()]
        return found

    def judge(self, answer):
        """What is wrong with an answer, if anything, and whether only one would have been right."""
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
    """By their names, entry points tell their package: ``p0`` and ``of_0.1`` are those of p0 0.1."""
    return "pus"[int(name[3]) // 3] + name[3] if name.startswith("of_") else name
