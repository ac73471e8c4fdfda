"""What `importlib.metadata` itself finds on the disk over time, and which answers that allows.

A *moment* is a dictionary: for the name of each distribution's directory, in the order in which they are
found, `Found`. `importlib.metadata` reads its texts every time; the parsed results are remembered.
"""

import collections
import importlib.metadata
import itertools
import re

Found = collections.namedtuple("Found", "key name version entry_points packages")

_made = {}
NOBODY = object()


def moment(site):
    """The current content of a site directory."""
    importlib.metadata.FastPath.__new__.cache_clear()
    found = {}
    for one in importlib.metadata.distributions(path=[site]):
        entry_points = one.read_text("entry_points.txt")
        metadata = one.read_text("METADATA") or one.read_text("PKG-INFO") or one.read_text("")
        directory = one._path.name
        known = directory, entry_points, metadata, one.read_text("RECORD")
        if known not in _made:
            if len(_made) > 20000:
                _made.clear()
            _made[known] = Found(
                _key(one),
                one.metadata["Name"],
                one.metadata["Version"],
                tuple((ep.name, ep.value, ep.group) for ep in one.entry_points),
                tuple(sorted(importlib.metadata._top_level_inferred(one))),
            )
        found[directory] = _made[known]
    return found


def _key(distribution):
    """The key of a distribution; None where neither its directory nor (yet) its metadata has a name, which
    makes `entry_points()` raise `TypeError`."""
    try:
        return distribution._normalized_name
    except TypeError:
        return None


def effective(moment, directory):
    """The effective entry points of a distribution: of those with one key only the first has any."""
    found = moment.get(directory)
    if found is None:
        return ()
    for other, its in moment.items():
        if other == directory:
            return found.entry_points
        if its.key == found.key is not None:
            return ()
    raise AssertionError(directory)


def normalized(name):
    return re.sub(r"[-_.]+", "_", name).lower()


def stem(directory):
    """The lookup key of a distribution: the name of its directory, whatever its metadata contains."""
    return normalized(directory.lower().rpartition(".")[0].partition("-")[0])


class Window:
    """The moments that a read may reflect: for each distribution its own, as a list without repetitions."""

    def __init__(self, moments, begin, begins, also_absent=False):
        """`moments` from `begin` on, but from `begins[directory]` on for some."""
        self.moments = moments
        self.begin = begin
        self.begins = begins
        self.also_absent = also_absent
        earliest = min([begin, *begins.values()])
        # The names alone, first those that still exist.
        self.directories = list(dict.fromkeys(itertools.chain(*reversed(moments[earliest:]))))

    def of(self, directory):
        return self.moments[min(self.begin, self.begins.get(directory, self.begin)) :]

    def allows(self, question, answer):
        """Whether `importlib.metadata` could have given this answer."""
        if answer == ["raised", "TypeError"]:
            return question[0] == "entry_points" and self.some_have_no_key()
        if answer[:1] == ["raised"]:
            return self.also_absent
        return getattr(self, question[0])(answer, *question[1:])

    def some_have_no_key(self):
        return any(
            moment[directory].key is None
            for directory in self.directories
            for moment in self.of(directory)
            if directory in moment
        )

    def entry_points(self, answer, group):
        choices = []
        for directory in self.directories:
            possible = {effective(moment, directory) for moment in self.of(directory)}
            possible = {tuple(ep for ep in eps if group in (None, ep[2])) for eps in possible}
            if len({moment.get(directory) is None for moment in self.of(directory)}) > 1 or self.also_absent:
                possible.add(())
            choices.append(sorted(possible, key=len, reverse=True))
        return _composed(collections.Counter(answer), choices)

    def packages_distributions(self, answer):
        choices = []
        for directory in self.directories:
            found = [moment.get(directory) for moment in self.of(directory)]
            # Its lists of files and its metadata are read one after the other.
            possible = {
                tuple((package, named.name) for package in listing.packages)
                for listing in filter(None, found)
                for named in filter(None, found)
            }
            if None in found or self.also_absent:
                possible.add(())
            choices.append(sorted(possible, key=len, reverse=True))
        return _composed(collections.Counter(answer), choices)

    def version(self, answer, name):
        key = normalized(name)

        def named(directory):
            return stem(directory) == key

        def is_present(moment):
            return any(map(named, moment))

        possible = set()
        for directory in filter(named, self.directories):
            # The name of the directory may be found when its file no longer exists.
            found = [moment.get(directory) for moment in self.of(directory)]
            possible |= {one and one.version for one in found}
        earliest = min([self.begin, *(begin for directory, begin in self.begins.items() if named(directory))])
        if not all(map(is_present, self.moments[earliest:])):
            possible.add(NOBODY)
        if earliest == len(self.moments) - 1 and not self.also_absent:
            # At one moment it is the first of that name.
            moment = self.moments[-1]
            possible = {next((moment[one].version for one in moment if named(one)), NOBODY)}
        if self.also_absent:
            possible |= {NOBODY, None}
        return (answer[0] if answer else NOBODY) in possible

    def distributions(self, answer):
        answered = {}
        for directory, name, version in answer:
            if directory in answered:
                return False
            answered[directory] = name, version
        if not set(answered) <= set(self.directories):
            return False
        for directory in self.directories:
            possible = [moment.get(directory) for moment in self.of(directory)]
            if directory not in answered:
                if None not in possible and not self.also_absent:
                    return False
                continue
            if all(found is None for found in possible):
                return False
            names = {found and found.name for found in possible}
            versions = {found and found.version for found in possible}
            if self.also_absent:
                names.add(None)
                versions.add(None)
            if answered[directory][0] not in names or answered[directory][1] not in versions:
                return False
        return True


def _composed(answer, choices):
    """Whether the answer consists of one choice for each distribution."""
    if not choices:
        return not answer
    for choice in choices[0]:
        taken = collections.Counter(choice)
        if all(answer[one] >= count for one, count in taken.items()) and _composed(
            answer - taken, choices[1:]
        ):
            return True
    return False
