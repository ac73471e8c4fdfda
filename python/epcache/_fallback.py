"""Distributions read from the disk, for what no index can answer.

Where this is needed, `importlib.metadata` is, so it is imported here and nowhere else. What
differs between its versions (3.9 reads ``entry_points.txt`` with `configparser` and knows no
normalized names) is done here as 3.12 does it.
"""

import importlib.metadata
import os
import pathlib
import stat

from . import EntryPoint, EntryPoints
from ._names import SUFFIXES, has_stem, normalized, stem
from ._parse import parse


class Distribution(importlib.metadata.PathDistribution):
    """A distribution of one path entry, with the semantics of 3.12 on every version."""

    def read_text(self, filename):
        """The text of a metadata file; None where there is no such file, or no regular one.

        Opening a FIFO would wait for somebody to write to it.
        """
        if isinstance(self._path, pathlib.Path):
            try:
                mode = os.stat(self._path.joinpath(filename)).st_mode
            except OSError:
                mode = 0
            if mode and not stat.S_ISREG(mode):
                return None
        return super().read_text(filename)

    @property
    def name(self):
        """The ``Name`` of the metadata."""
        return self.metadata["Name"]

    @property
    def _normalized_name(self):
        return normalized_stem(os.path.basename(str(self._path))) or _normalized(self.name)

    @property
    def entry_points(self):
        """What ``entry_points.txt`` says; `TypeError` for a line without ``=``."""
        text = self.read_text("entry_points.txt")
        return EntryPoints([EntryPoint(*fields)._for(self) for fields in parse(text or "")])


class Installed(Distribution):
    """One whose `files` 3.9, too, takes from ``installed-files.txt`` where there is no RECORD."""

    def _read_files_egginfo(self):
        text = self.read_text("installed-files.txt")
        if not text:
            return super()._read_files_egginfo()
        root = self.locate_file("").resolve()
        paths = (os.path.relpath((self._path / name).resolve(), root) for name in text.splitlines())
        return map('"{}"'.format, paths)


def _normalized(name):
    if not isinstance(name, str):
        raise TypeError(f"a distribution without a name: {name!r}")
    return normalized(name)


def normalized_stem(file_name):
    """The normalized name that a directory's own name gives; empty where it gives none."""
    return stem(file_name) if has_stem(file_name) else ""


def of_path_entry(entry, name=None):
    """The distributions of anything that may be on `sys.path`: a zip file, an egg, no string.

    All of them, or those of one name.
    """
    finder = importlib.metadata.MetadataPathFinder
    # 3.9 knows no normalized names, so there all are looked for.
    before_310 = not hasattr(importlib.metadata, "EntryPoints")
    filtered = name is not None and before_310
    context = importlib.metadata.DistributionFinder.Context(name=None if filtered else name, path=[entry])
    found = finder.find_distributions(context)
    if before_310:
        found = _grouped(found)
    for one in found:
        if not filtered or _is_called(one._path, name):
            yield Distribution(one._path)


def _grouped(distributions):
    """In the order of later versions: those with one stem behind each other, and what is in eggs last."""
    infos, eggs = {}, {}
    for one in distributions:
        base = os.path.basename(str(one._path).rstrip("/")).lower()
        is_info = base.endswith(SUFFIXES)
        (infos if is_info else eggs).setdefault(stem(base), []).append(one)
    return [one for together in (*infos.values(), *eggs.values()) for one in together]


def _is_called(path, name):
    base = os.path.basename(str(path).rstrip("/")).lower()
    if base.endswith(SUFFIXES):
        return stem(base) == normalized(name)
    # Inside an egg, whose own name tells.
    egg = os.path.basename(os.path.dirname(str(path).rstrip("/"))).lower()
    return egg.rpartition(".")[0].partition("-")[0] == name.lower().replace("-", "_")


def of_finder(find_distributions):
    """The distributions of a finder on `sys.meta_path`, as it makes them."""
    yield from find_distributions(importlib.metadata.DistributionFinder.Context())


def key(distribution):
    """What tells whether two distributions are the same."""
    if hasattr(type(distribution), "_normalized_name"):
        return distribution._normalized_name
    # 3.9
    if isinstance(distribution, importlib.metadata.PathDistribution):
        return Distribution(distribution._path)._normalized_name
    return _normalized(distribution.metadata["Name"])


def entry_points(distribution):
    """The entry points of a distribution of any kind, as ours."""
    if isinstance(distribution, Distribution):
        return distribution.entry_points
    if type(distribution).entry_points is importlib.metadata.Distribution.entry_points:
        text = distribution.read_text("entry_points.txt")
        found = [EntryPoint(*fields) for fields in parse(text or "")]
    else:
        found = distribution.entry_points
    return [EntryPoint(ep.name, ep.value, ep.group)._for(distribution) for ep in found]
