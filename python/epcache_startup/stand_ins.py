"""Stand-ins for the functions of `importlib.metadata` and `importlib_metadata` that an index can answer.

They are put in place when such a module is imported. Most programs import it and ask nothing, or ask later. So
the package `epcache` is imported at the first question, and `epcache._accelerate` then answers.

The module's own functions answer where that package is not there any more or does not know the release of the
module, and for as long as somebody has replaced a part of the module (tests do).
"""

import _thread
import functools
import operator
import sys
from importlib import import_module

from . import MODULES, finds_package, is_off

_FUNCTIONS = ("entry_points", "version", "packages_distributions")
_REPLACED = (*_FUNCTIONS, "find_distributions")
_standing = {}  # by the name of the module
originals = {}  # what the finders of the modules had, by what stands for it


def find_spec(name, path, target):
    """The spec of a module, with a loader that puts the stand-ins in place."""
    for finder in sys.meta_path:
        # By name: there may be another version of this package as well.
        if getattr(finder, "__name__", None) == __package__ or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, path, target)
        if spec is not None:
            if hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader)
            return spec
    return None


class _Loader:
    """Loads a module with its own loader, then puts the stand-ins in place."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # Programs that look at the loader later find the original.
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        put(module)


def put_in_loaded():
    """Put the stand-ins in place in the modules that have been imported already."""
    for name in MODULES["accelerate"]:
        if hasattr(sys.modules.get(name), "MetadataPathFinder"):
            put(sys.modules[name])


def put(module):
    """Put the stand-ins in place in a module, if they are not."""
    known = _standing.get(module.__name__)
    if known is not None and known.are_in_place(module):
        return
    try:
        stand_ins = StandIns(module)
    except Exception:
        # Somebody has changed the module. Programs that import it must not fail for that.
        return
    _standing[module.__name__] = stand_ins
    stand_ins.begin()


def remove():
    """Put everything back."""
    for stand_ins in list(_standing.values()):
        stand_ins.end()


class StandIns:
    """Those of one module."""

    def __init__(self, module):
        self.module = module
        self.finder = module.MetadataPathFinder
        self._on = False
        self._originals = {name: getattr(module, name) for name in _FUNCTIONS if hasattr(module, name)}
        self._search = self.finder.__dict__["find_distributions"]
        self._own_search = self._make_search()
        self._lock = _thread.allocate_lock()
        self._package = self._answers = None
        self._first_parts, self._first_content = self._parts(), self._content()

    def begin(self):
        """Put them in place; nothing of this can fail."""
        originals[self._own_search] = self._search
        self.finder.find_distributions = self._own_search
        for name, original in self._originals.items():
            setattr(self.module, name, functools.wraps(original)(getattr(self, f"_make_{name}")(original)))
        self._on = True

    def end(self):
        """Put back what they stand for. What programs have kept of them calls that."""
        self._on = False
        if self.finder.__dict__.get("find_distributions") is self._own_search:
            self.finder.find_distributions = self._search
        for name, original in self._originals.items():
            if getattr(getattr(self.module, name, None), "__wrapped__", None) is original:
                setattr(self.module, name, original)
        if _standing.get(self.module.__name__) is self:
            del _standing[self.module.__name__]

    def are_in_place(self, module):
        """Whether the module has not been imported or executed again since (`importlib.reload`)."""
        return module is self.module and module.MetadataPathFinder is self.finder and self._on

    def _parts(self):
        """What the module's own functions use. Where somebody replaces one, these functions have to run."""
        module = self.module
        return (
            module.MetadataPathFinder,
            module.distributions,
            module.distribution,
            self.finder.__dict__.get("_search_paths"),
            module.Distribution.__dict__.get("discover"),
            module.Distribution.__dict__.get("from_name"),
        )

    def _is_untouched(self):
        """Whether the module's own functions would do what the package does."""
        return (
            self._on
            and self.finder.__dict__.get("find_distributions") is self._own_search
            and all(map(operator.is_, self._parts(), self._first_parts))
            and not is_off()
        )

    def _content(self):
        module = self.module
        kinds = module.Distribution, module.PathDistribution, module.MetadataPathFinder, module.EntryPoint
        return [dict(vars(each)) for each in (module, *kinds)]

    def _is_as_imported(self):
        """Whether nothing has been replaced: what is there now is taken for the module's own."""
        return all(
            now.get(name) is value or name in _REPLACED
            for now, first in zip(self._content(), self._first_content)
            for name, value in first.items()
        )

    def package(self):
        """The package `epcache`; None where it can't be imported, or is just being imported."""
        if self._package is None:
            self._import("_package", lambda: import_module("epcache") if finds_package() else None)
        return self._package

    def answers(self):
        """The `epcache._accelerate.Answers` for the module; None where its own functions have to answer."""
        if self._answers is None and self.package() is not None and self._is_as_imported():
            self._import("_answers", self._make_answers)
        return self._answers

    def _make_answers(self):
        return import_module("epcache._accelerate").Answers.of(self.module)

    def _import(self, attribute, make):
        # Another thread that asks meanwhile, and whatever asks during the import, gets the module's own answer. To
        # wait could take for ever, if that thread is importing the package itself.
        if not self._lock.acquire(False):
            return
        try:
            found = make()
        except Exception:
            found = None
        finally:
            self._lock.release()
        if found is None:
            self.end()
        setattr(self, attribute, found)

    def _make_search(self):
        function = getattr(self._search, "__func__", self._search)

        @functools.wraps(function)
        def find_distributions(cls, *arguments, **named):
            if self._on and not is_off():
                answers = self.answers()
                if answers is not None and answers.backend.searches_as_always(cls):
                    return answers.find_distributions(*arguments, **named)
            return function(cls, *arguments, **named)

        return classmethod(find_distributions)

    def _make_entry_points(self, original):
        def entry_points(**params):
            answers = self.answers() if self._is_untouched() else None
            found = None if answers is None else answers.entry_points(**params)
            return original(**params) if found is None else found

        return entry_points

    def _make_version(self, original):
        def version(distribution_name):
            found, begun = None, []
            if type(distribution_name) is str and distribution_name and self._is_untouched():
                package = self.package() if self.module.__name__ == "importlib.metadata" else None
                if package is not None:
                    # Without importing more.
                    found = package.plain_version(distribution_name, begun, native=True)
                if found is None:
                    answers = self.answers()
                    found = None if answers is None else answers.version(distribution_name, begun)
            if found is None:
                return original(distribution_name)
            for its_version in found:
                return its_version
            raise self.module.PackageNotFoundError(distribution_name)

        return version

    def _make_packages_distributions(self, original):
        def packages_distributions():
            answers = self.answers() if self._is_untouched() else None
            found = None if answers is None else answers.packages_distributions()
            return original() if found is None else found

        return packages_distributions
