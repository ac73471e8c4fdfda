"""Answers to the queries of a history, as plain data, by the functions of one module.

Runs under every supported interpreter. An exception counts as an answer, by the name of its type.
"""

import hashlib
import importlib.metadata

FILES = ["METADATA", "PKG-INFO", "entry_points.txt", "top_level.txt", "RECORD", "nothing", ""]


def attempt(function, *arguments, **parameters):
    try:
        return function(*arguments, **parameters)
    except Exception as error:  # noqa: BLE001
        return {"raised": type(error).__name__}


class Answers:
    """`api` has the functions; `native` says whether exactly the interpreter's behaviour is expected."""

    def __init__(self, api, native):
        self.api = api
        self.native = native
        self.kept = []
        self.spelled = {}

    def answer(self, question):
        kind, *arguments = question
        self.spelled.clear()
        found = attempt(getattr(self, kind), *arguments)
        if not self.native and found == {"raised": "AssertionError"}:
            # For a value that is no object reference; up to 3.12 it was this exception.
            return {"raised": "AttributeError"}
        return found

    def entry_points(self, parameters):
        return self.spell_entry_points(self.api.entry_points(**parameters))

    def groups_and_names(self):
        found = self.api.entry_points()
        if self.native and not hasattr(found, "names"):
            return sorted(found)  # 3.9
        wanted = [found.select(group=group) for group in sorted(found.groups)]
        if not self.native and isinstance(found, dict):
            wanted = [wanted]
        first = attempt(lambda: found["main"]) if not isinstance(found, dict) else None
        return [
            sorted(found.groups),
            sorted(found.names),
            [self.spell_entry_points(one) for one in wanted],
            spelled_first(first),
        ]

    def version(self, name):
        return self.api.version(name)

    def distribution(self, name):
        return self.spell_distribution(self.api.distribution(name))

    def distributions(self, parameters):
        return [self.spell_briefly(found) for found in self.api.distributions(**parameters)]

    def every_distribution_s_entry_points(self):
        # As pluggy, conda and tox do.
        return [self.spell_offer(found) for found in self.api.distributions()]

    def spell_offer(self, found):
        return [attempt(lambda: found.metadata["Name"]), attempt(lambda: self.spell_all(found.entry_points))]

    def packages_distributions(self):
        return dict(sorted(self.api.packages_distributions().items()))

    def requires(self, name):
        return self.with_path(name, self.api.requires(name))

    def files(self, name):
        return self.with_path(name, spell_files(self.api.files(name)))

    def metadata(self, name):
        found = self.api.distribution(name).metadata if not self.native else self.api.metadata(name)
        return self.with_path(name, spell_metadata(found))

    def with_path(self, name, found):
        return {"path": path_of(self.api.distribution(name)), "found": found}

    def invalidate_caches(self):
        importlib.invalidate_caches()

    def keep(self):
        self.kept = attempt(lambda: list(self.api.distributions()))

    def forget(self):
        self.kept = []

    # A kept distribution is named by its query; it reads the disk at each access.
    def answer_kept(self):
        if isinstance(self.kept, dict):
            return self.kept
        return [spell_contents(found) for found in sorted(self.kept, key=path_of)]

    def spell_entry_points(self, found):
        if isinstance(found, dict):
            # A dictionary in 3.9, and a deprecated one in 3.10 and 3.11.
            spelled = {group: self.spell_all(dict.__getitem__(found, group)) for group in dict.keys(found)}
            return [type(found).__name__, list(spelled.items())]
        spelled = self.spell_all(found)
        return [type(found).__name__, spelled] if self.native else spelled

    def spell_all(self, found):
        return [self.spell_entry_point(entry_point) for entry_point in found]

    def spell_entry_point(self, entry_point):
        spelled = [
            entry_point.name,
            entry_point.value,
            entry_point.group,
            self.of_value(lambda: entry_point.module),
            self.of_value(lambda: entry_point.attr),
            self.of_value(
                lambda: [extra if isinstance(extra, str) else extra.group() for extra in entry_point.extras]
            ),
        ]
        dist = attempt(lambda: entry_point.dist)
        spelled.append(self.spell_briefly(dist) if hasattr(dist, "read_text") else dist)
        if self.native:
            spelled.append(isinstance(entry_point, importlib.metadata.EntryPoint))
            spelled.append(hash(entry_point) == hash(entry_point))
        return spelled

    def of_value(self, function):
        # A value that is no object reference raises AttributeError up to 3.12, later AssertionError.
        found = attempt(function)
        return found if self.native or not isinstance(found, dict) else "raised"

    def spell_briefly(self, found):
        # Each attribute parses the metadata again, and many entry points share one distribution.
        if id(found) not in self.spelled:
            self.spelled[id(found)] = found, self.spell_identity(found)
        return self.spelled[id(found)][1]

    def spell_identity(self, found):
        # 3.9 has no `name`, nor have the distributions of other finders there.
        named = hasattr(type(found), "name") or not (
            self.native or type(found).__module__ == "importlib.metadata"
        )
        spelled = [
            path_of(found),
            attempt(lambda: found.version),
            attempt(lambda: found.name if named else found.metadata["Name"]),
        ]
        if self.native:
            spelled.append(attempt(lambda: getattr(found, "_normalized_name", None)))
            spelled.append(isinstance(found, importlib.metadata.Distribution))
            spelled.append(isinstance(found, importlib.metadata.PathDistribution))
        return spelled

    def spell_distribution(self, found):
        return {
            "brief": self.spell_briefly(found),
            "entry_points": attempt(lambda: self.spell_all(found.entry_points)),
            "place": attempt(lambda: str(found.locate_file("x/y.py"))),
            **spell_contents(found),
        }


def path_of(found):
    return str(getattr(found, "_path", None))


def digest(text):
    return text if text is None else hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()


def spell_metadata(found):
    return None if found is None else [list(found.items()), digest(found.get_payload())]


def spell_contents(found):
    """The contents that a distribution reads from the disk at each access."""
    return {
        "metadata": attempt(lambda: spell_metadata(found.metadata)),
        "requires": attempt(lambda: found.requires),
        "files": attempt(lambda: spell_files(found.files)),
        "texts": [attempt(read_digest, found, name) for name in FILES],
    }


def read_digest(found, name):
    return digest(found.read_text(name))


def spell_files(found):
    return None if found is None else [[str(file), attempt(spell_hash, file), file.size] for file in found]


def spell_hash(file):
    return repr(file.hash)


def spelled_first(found):
    return found if found is None or isinstance(found, dict) else [found.name, found.value, found.group]


class Of312:
    """The functions of this interpreter's `importlib.metadata`, with the definitions of 3.12.

    3.10 and 3.11 return a dictionary without arguments, and sort the selected entry points.
    """

    def __getattr__(self, name):
        return getattr(importlib.metadata, name)

    @staticmethod
    def entry_points(**parameters):
        seen = set()
        found = []
        for distribution in importlib.metadata.distributions():
            if distribution._normalized_name not in seen:
                seen.add(distribution._normalized_name)
                found += distribution.entry_points
        return importlib.metadata.EntryPoints(found).select(**parameters)


def without_caches():
    """Make `importlib.metadata` read the disk again: it validates its cached listings by coarse times."""
    fast_path = getattr(importlib.metadata, "FastPath", None)
    clear = getattr(getattr(fast_path, "__new__", None), "cache_clear", None)
    if clear is not None:
        clear()
