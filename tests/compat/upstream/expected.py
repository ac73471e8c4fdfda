"""The tests that cannot pass, and why.

A failure that is not listed here fails the run; so does a listed test that passes.
"""

from collections import namedtuple

from .modes import MODES

# `modes` are names of `modes.MODES`; a test that fails in the control as well lists "plain".
Failure = namedtuple("Failure", "suite versions modes test reason")

RECWARN = "its doctest asks for a fixture of pytest, which unittest has not: fails in the control as well"

EXPECTED = [
    Failure("older", ["3.9"], MODES, "importlib_metadata.Deprecated", RECWARN),
    Failure("older", ["3.9"], MODES, "importlib_metadata.DeprecatedList", RECWARN),
    Failure("older", ["3.9", "3.10"], MODES, "importlib_metadata.DeprecatedTuple", RECWARN),
]


def failure(suite, version, mode, test):
    """The entry for a test in one run, or None."""
    for entry in EXPECTED:
        if (entry.suite, entry.test) == (suite, test) and version in entry.versions and mode in entry.modes:
            return entry
    return None


def tests(suite, version, mode):
    """The names of the tests that are expected to fail in one run."""
    return {entry.test for entry in EXPECTED if failure(suite, version, mode, entry.test) is not None}
