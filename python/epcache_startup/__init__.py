"""Start-up hook of Python interpreters; the ``epcache.pth`` that ``epcache enable`` writes imports it.

The module is its own finder on ``sys.meta_path``. When a program imports pip, it starts the hook. When a program
imports `importlib.metadata` or `importlib_metadata`, it puts stand-ins for those of its functions in place that an index
can answer. Most programs ask nothing then, or ask later. So the package `epcache` is imported at the first question, and
`epcache._accelerate` then answers. The module's own functions answer where that package is not there any more or does
not know the release of the module, and for as long as somebody has replaced a part of the module (tests do).

Only the package beside this one is ever called. Nothing happens where that has been uninstalled, where
another module named ``epcache`` precedes it, or where its directory has left ``sys.path``.

Every start of the interpreter pays for what this imports, and where each file that is looked at costs a request to a
server, every program for each further file. So this is one file, and it imports nothing before it is needed.

This is a package because the byte code of a single module would be in the site directory: a new
``__pycache__`` there changes the directory's stamp, which makes its index stale.
"""

import _thread
import posix
import sys

MODULES = {
    "accelerate": ("importlib.metadata", "importlib_metadata"),
    # The second is what pip 9 has.
    "pip-hook": ("pip._internal", "pip.basecommand"),
}
_awaited = []
_FUNCTIONS = ("entry_points", "version", "packages_distributions")
_REPLACED = (*_FUNCTIONS, "find_distributions")
_standing = {}  # the stand-ins that are in place, by the name of the module
originals = {}  # the search methods of the modules' finders, by their stand-ins
# An older interpreter can find this package too, in a directory that several versions share.
_OLDEST = (3, 9)


def enable(*features: str) -> None:
    """Wait for the modules of each feature; later calls add to earlier ones."""
    if sys.version_info < _OLDEST:
        return
    for feature in features:
        _awaited.extend(MODULES.get(feature, ()))
    finder = sys.modules[__name__]
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)


def find_spec(name, path=None, target=None):
    """Find the package `epcache`; for an awaited module, put the stand-ins or pip's hook in place."""
    if name == "epcache":
        return _spec_of_package()
    if name not in _awaited:
        return None
    try:
        if name in MODULES["accelerate"]:
            return None if is_off() else _spec_with_stand_ins(name, path, target)
        if finds_package():
            from epcache import _pip_hook

            _pip_hook.register()
    except ImportError:
        # An installer is replacing the package.
        pass
    return None


def is_off():
    """Whether the variable EPCACHE says that no index is to be used."""
    from os import environ

    return "off" in environ.get("EPCACHE", "").replace(" ", "").split(",")


def finds_package():
    """Whether ``import epcache`` gives the package beside this one."""
    package = sys.modules.get("epcache")
    if package is not None:
        return getattr(package, "__file__", None) == _beside()
    return _spec_of_package() is not None


def _beside():
    return __file__.rpartition("/")[0].rpartition("/")[0] + "/epcache/__init__.py"


def _spec_of_package():
    """The spec of the package beside this one; None where another one precedes it.

    In the directory itself nothing is searched for: an import would look for three kinds of extension modules first.
    """
    from _frozen_importlib_external import PathFinder, SourceFileLoader, spec_from_file_location

    beside = _beside()
    site = beside[: -len("/epcache/__init__.py")]
    is_plain = type(__spec__.loader) is SourceFileLoader and site in sys.path
    for finder in _other_finders():
        is_last = finder is PathFinder and is_plain
        spec = finder.find_spec("epcache", sys.path[: sys.path.index(site)] if is_last else None)
        # A directory without __init__.py is no package for as long as there is another one.
        if is_last and (spec is None or spec.loader is None):
            try:
                posix.stat(beside)
            except OSError:
                return None
            return spec_from_file_location("epcache", beside)
        if spec is not None:
            return spec if spec.origin == beside else None
    return None


def _other_finders():
    for finder in sys.meta_path:
        # By name: there may be another version of this package as well.
        if getattr(finder, "__name__", None) != __name__ and hasattr(finder, "find_spec"):
            yield finder


def _spec_with_stand_ins(name, path, target):
    """The spec of a module, with a loader that puts the stand-ins in place."""
    for finder in _other_finders():
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
    """The stand-ins for the functions of one module."""

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
        from functools import wraps

        originals[self._own_search] = self._search
        self.finder.find_distributions = self._own_search
        for name, original in self._originals.items():
            setattr(self.module, name, wraps(original)(getattr(self, f"_make_{name}")(original)))
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
            and all(part is first for part, first in zip(self._parts(), self._first_parts))
            and not is_off()
        )

    def _content(self):
        module = self.module
        kinds = module.Distribution, module.PathDistribution, module.MetadataPathFinder, module.EntryPoint
        return [dict(vars(each)) for each in (module, *kinds)]

    def _is_as_imported(self):
        """Whether nothing has been replaced since the import, so that all functions are the module's own."""
        return all(
            now.get(name) is value or name in _REPLACED
            for now, first in zip(self._content(), self._first_content)
            for name, value in first.items()
        )

    def package(self):
        """The package `epcache`; None where it can't be imported, or is just being imported."""
        if self._package is None:
            self._import("_package", self._make_package)
        return self._package

    def answers(self):
        """The `epcache._accelerate.Answers` for the module; None where its own functions have to answer."""
        if self._answers is None and self.package() is not None and self._is_as_imported():
            self._import("_answers", self._make_answers)
        return self._answers

    def _make_package(self):
        if not finds_package():
            return None
        import epcache

        return epcache

    def _make_answers(self):
        from epcache._accelerate import Answers

        return Answers.of(self.module)

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
        from functools import wraps

        function = getattr(self._search, "__func__", self._search)

        @wraps(function)
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
