"""Readers: instances of the package `epcache`, each with its own state like a process.

They live in one interpreter, under different names. Before each of its system calls a reader runs the steps
of the history, so that reads and changes overlap where the seed decides.
"""

import importlib.abc
import importlib.util
import itertools
import os
import pathlib
import posix
import sys
import warnings

from support.checkout import READER as PACKAGE

from . import stepping

PREFIX = "epcache_of_reader_"
CALLS = {"stat", "lstat", "fstat", "open", "pread", "read", "listdir", "close", "readlink"}

_numbers = itertools.count()
_code = {}


class _Finder(importlib.abc.MetaPathFinder):
    """Imports the package under the names of the readers; each file is compiled once."""

    def __init__(self, package):
        self.package = pathlib.Path(package)
        self.readers = {}

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(PREFIX):
            return None
        top, _, module = name.partition(".")
        file = self.package / "epcache" / f"{module or '__init__'}.py"
        if not file.exists():
            return None
        where = [str(file.parent)] if not module else None
        return importlib.util.spec_from_file_location(
            name, file, loader=_Loader(file, self.readers[top]), submodule_search_locations=where
        )


class _Loader(importlib.abc.Loader):
    def __init__(self, file, reader):
        self.file = file
        self.reader = reader

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        if self.file not in _code:
            _code[self.file] = compile(self.file.read_bytes(), str(self.file), "exec")
        exec(_code[self.file], module.__dict__)
        if "posix" in module.__dict__:
            module.posix = self.reader.calls


class _Calls:
    """The module `posix`, for one reader."""

    def __init__(self):
        for name in CALLS:
            setattr(self, name, self._stoppable(getattr(posix, name)))

    def __getattr__(self, name):
        return getattr(posix, name)

    @staticmethod
    def _stoppable(function):
        def call(*arguments, **options):
            stepping.stop()
            return function(*arguments, **options)

        return call


_finder = None


def use(package):
    """Use the package in this directory from now on."""
    global _finder
    warnings.simplefilter("ignore")
    if _finder is not None:
        sys.meta_path.remove(_finder)
    _code.clear()
    _finder = _Finder(package or PACKAGE)
    sys.meta_path.insert(0, _finder)


class Reader:
    """One long-lived process, as far as the package can see."""

    def __init__(self, strict, system_cache, system_user):
        self.strict = strict
        self.calls = _Calls()
        self.name = f"{PREFIX}{next(_numbers)}"
        self._count = 0
        self._overlap = {}
        _finder.readers[self.name] = self
        self.package = importlib.import_module(self.name)
        self.package.SYSTEM_CACHE = system_cache
        self.package._system_uid = system_user
        self.not_found = self.package.PackageNotFoundError

    def end(self):
        del _finder.readers[self.name]
        for name in [name for name in sys.modules if name.startswith((self.name + ".", self.name))]:
            if name == self.name or name.startswith(self.name + "."):
                del sys.modules[name]

    def tick(self):
        """Called before each of its system calls."""
        self._count += 1
        happening = self._overlap.get(self._count)
        if happening is not None:
            with stepping.during(None):
                happening()

    def ask(self, question, overlap):
        """The answer; `overlap` maps the number of a system call to a function to call before it."""
        before = os.environ.get("EPCACHE")
        os.environ["EPCACHE"] = "strict" if self.strict else ""
        count, kept = self._count, self._overlap
        self._count, self._overlap = 0, overlap
        try:
            with stepping.during(self):
                return getattr(self, question[0])(*question[1:])
        except OSError as error:
            return ["raised", error.errno]
        except TypeError:
            return ["raised", "TypeError"]
        finally:
            self._count, self._overlap = count, kept
            if before is None:
                del os.environ["EPCACHE"]
            else:
                os.environ["EPCACHE"] = before

    def entry_points(self, group):
        found = self.package.entry_points() if group is None else self.package.entry_points(group=group)
        return [(ep.name, ep.value, ep.group) for ep in found]

    def version(self, name):
        try:
            return [self.package.version(name)]
        except self.not_found:
            return []

    def distributions(self):
        found = []
        for one in self.package.distributions():
            found.append((os.path.basename(str(one._path)), one.name, one.version))
        return found

    def packages_distributions(self):
        found = self.package.packages_distributions()
        return [(package, name) for package, names in found.items() for name in names]
