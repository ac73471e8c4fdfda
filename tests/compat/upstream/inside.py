"""Runs one suite in the interpreter that executes this module, and writes the outcomes as JSON.

``python -m compat.upstream.inside REQUEST``, where REQUEST is JSON: ``suite`` ("cpython", or a key of `suites.BACKPORTS`),
``mode`` (a name of `modes.MODES`), ``tool`` (the binary), ``root`` (a directory on ``sys.path`` that
holds the suite, or null), ``result`` (the file to write).
"""

import doctest
import importlib
import json
import os
import pkgutil
import sys
import unittest

from . import modes

# From 3.13 on, and before.
MODULES = ["test.test_importlib.metadata." + name for name in ("test_main", "test_api", "test_zip")]
OLD_MODULES = ["test.test_importlib." + name for name in ("test_main", "test_metadata_api", "test_zip")]


class Outcomes(unittest.TestResult):
    """The outcome of each test, and whether an index was used in it."""

    def __init__(self, watch):
        super().__init__()
        self.tests = {}
        self._watch = watch

    def startTest(self, test):
        super().startTest(test)
        self._watch.begin()
        self.tests[test.id()] = {"outcome": "passed", "detail": ""}

    def stopTest(self, test):
        self.tests[test.id()].update(self._watch.end())
        super().stopTest(test)

    def _not(self, outcome, test, detail):
        self.tests.setdefault(test.id(), {}).update(outcome=outcome, detail=detail)

    def addFailure(self, test, err):
        self._not("failed", test, self._exc_info_to_string(err, test))

    def addError(self, test, err):
        self._not("failed", test, self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._not("failed", test, self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self._not("skipped", test, reason)

    def addExpectedFailure(self, test, err):
        pass

    def addUnexpectedSuccess(self, test):
        self._not("failed", test, "unexpected success")


def cpython():
    names = MODULES if sys.version_info >= (3, 13) else OLD_MODULES
    return unittest.defaultTestLoader.loadTestsFromNames(names)


def importlib_metadata(root):
    suite = unittest.TestSuite()
    # Its tests are in the package "tests", beside the package itself.
    for found in pkgutil.walk_packages([os.path.join(root, "tests")], "tests."):
        if found.name.rpartition(".")[2].startswith("test_"):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromName(found.name))
    package = importlib.import_module("importlib_metadata")
    modules = [found.name for found in pkgutil.walk_packages(package.__path__, "importlib_metadata.")]
    for name in ["importlib_metadata", *modules]:
        # The flags of pytest, by which the project itself runs these doctests.
        suite.addTests(doctest.DocTestSuite(name, optionflags=doctest.ELLIPSIS))
    return suite


def main():
    request = json.loads(sys.argv[1])
    os.chdir(os.path.dirname(request["result"]))
    backport = request["suite"] != "cpython"
    watch = modes.begin(request["mode"], request["tool"], backport)
    suite = importlib_metadata(request["root"]) if backport else cpython()
    outcomes = Outcomes(watch)
    suite.run(outcomes)
    with open(request["result"], "w", encoding="utf-8") as file:
        json.dump({"tests": outcomes.tests, **watch.summary()}, file)


if __name__ == "__main__":
    main()
