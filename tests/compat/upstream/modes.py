"""The modes in which the suites are run, and the proof that indexes were used."""

import importlib
import os
import pwd
import sys
import tempfile
from collections import namedtuple

from .fixture_indexes import UNTRUSTED_USER, FixtureIndexes, Kind

# `share`: the part of the tests with an index that must get an answer from it; 0 where the index is wrong
# on purpose, and no answer may come from it.
Mode = namedtuple("Mode", "index environment after_import share text")

# The other tests ask for what is in no index (other metadata, other paths). Where each distribution is
# proven for itself, the index can't answer for a name: tests that ask for one distribution read the disk.
MOST = 0.9
SOME = 0.33

MODES = {
    "plain": Mode(None, None, False, 0, "none, and nothing of epcache is loaded: the control"),
    "young": Mode(
        Kind.YOUNG,
        None,
        False,
        MOST,
        "as `refresh` leaves them right after an installation: all rows are unsettled, so their own"
        " stamps are compared",
    ),
    "settled": Mode(
        Kind.SETTLED, None, False, MOST, "as `refresh` leaves them some seconds later: proven by one `stat`"
    ),
    "changed": Mode(
        Kind.CHANGED,
        None,
        False,
        SOME,
        "the directory changes once more after its index was made, so each distribution has to be proven"
        " for itself",
    ),
    "outdated": Mode(
        Kind.OUTDATED,
        None,
        False,
        0,
        "the same, and every file of every distribution is changed in place after its index was made, with"
        " the same size and mtime",
    ),
    "strict": Mode(Kind.SETTLED, "strict", False, SOME, "settled, with `EPCACHE=strict`"),
    "untrusted": Mode(
        Kind.UNTRUSTED,
        None,
        False,
        MOST,
        "as in `young`, but the indexes are those of the user `epcache`, so what is taken from them is confirmed",
    ),
    "late": Mode(
        Kind.SETTLED, None, True, MOST, "settled, accelerated after `importlib_metadata` was imported"
    ),
}


class Unwatched:
    """The watch for the control, which has no indexes."""

    def begin(self):
        pass

    def end(self):
        return {}

    def summary(self):
        return {}


class Watch:
    """For each test, the directories with an index, and those whose index was used."""

    def __init__(self, indexes):
        self._indexes = indexes
        self._believed = set()
        self.canary = {}
        from epcache import Index
        from epcache._view import View

        row = View.row
        indexed = View.__dict__["indexed"].__func__

        def row_of(view, *arguments):
            found = row(view, *arguments)
            if found is not None:
                self._believed.add(view.entry)
            return found

        def indexed_view(kind, entry, index):
            # All of the index is proven, so the absence of a name is an answer from it as well.
            self._believed.add(entry)
            return indexed(kind, entry, index)

        row_named = Index.row_named

        def row_of_name(index, *arguments):
            self._believed.add(index.site_directory)
            return row_named(index, *arguments)

        Index.row_named = row_of_name
        View.row = row_of
        View.indexed = classmethod(indexed_view)

    def begin(self):
        self._indexes.forget()
        self._believed.clear()

    def end(self):
        present = self._indexes.present
        return {"could": bool(present), "used": bool(present & self._believed)}

    def summary(self):
        return {"made": self._indexes.made, "canary": self.canary}


def begin(name, tool, backport):
    """Set up this process for a mode; returns the watch over its tests."""
    mode = MODES[name]
    metadata = [importlib.import_module("importlib.metadata")]
    if mode.index is None:
        return Unwatched()
    if mode.after_import and backport:
        importlib.import_module("importlib_metadata")
    if mode.environment:
        os.environ["EPCACHE"] = mode.environment
    import epcache

    if mode.index == Kind.UNTRUSTED:
        epcache.SYSTEM_CACHE = os.path.join(os.path.dirname(tempfile.gettempdir()), "system")
        epcache.SYSTEM_USER = UNTRUSTED_USER
    epcache.accelerate()
    if backport:
        metadata.append(importlib.import_module("importlib_metadata"))
    indexes = FixtureIndexes(tool, mode.index)
    watch = Watch(indexes)
    for module in metadata:
        watch.canary[module.__name__] = canary(module, tool, mode)
        indexes.ask_first(module)
    return watch


def canary(module, tool, mode):
    """The questions whose answers contain something that only the index has."""
    from .index_file import forge

    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        site = os.path.join(root, "site")
        info = os.path.join(site, "canary_bird-1.0.dist-info")
        os.makedirs(info)
        for file, text in [
            ("METADATA", "Metadata-Version: 2.1\nName: canary-bird\nVersion: 1.0\n"),
            ("entry_points.txt", "[canary.songs]\nsong = canary:main\n"),
            ("top_level.txt", "canary_mod\n"),
        ]:
            with open(os.path.join(info, file), "w") as opened:
                opened.write(text)
        former, tempfile.tempdir = tempfile.tempdir, root
        FixtureIndexes(tool, mode.index).refresh()
        tempfile.tempdir = former
        index = os.path.join(site, ".epcache", "index")
        if mode.index == Kind.UNTRUSTED:
            index = f"{sys.modules['epcache'].SYSTEM_CACHE}{site}/index"
        # An outdated index contains that already.
        for recorded, other in [
            (b"\t1.0\n", b"\t7.0\n"),
            (b":main", b":gone"),
            (b"canary_mod", b"canary_old"),
        ]:
            if mode.index != Kind.OUTDATED:
                forge(index, recorded, other)
        # Of an untrusted index these are confirmed, so the forgery has no effect.
        believed = mode.index != Kind.UNTRUSTED
        if not believed:
            os.chown(index, pwd.getpwnam(UNTRUSTED_USER).pw_uid, -1)
        sys.path.insert(0, site)
        try:
            birds = [dist for dist in module.distributions() if "canary_bird" in str(dist._path)]
            answers = {
                "entry_points": is_forged(module.entry_points()) == believed,
                "version": (module.version("canary-bird") == "7.0") == believed,
                "distributions": is_forged(birds[0].entry_points) == believed,
            }
            if hasattr(module, "packages_distributions"):
                answers["packages_distributions"] = "canary_old" in module.packages_distributions()
            return answers
        finally:
            sys.path.remove(site)


def is_forged(found):
    """Whether the entry point comes from the index."""
    (entry,) = [each for each in flat(found) if each.group == "canary.songs"]
    return entry.value == "canary:gone"


def flat(found):
    """All entry points as a list; 3.9 to 3.11 group them."""
    return [entry for entries in found.values() for entry in entries] if hasattr(found, "values") else found
