"""Plays the random histories of tests/compat/histories in a chroot, on its interpreters.

Arguments: those of tests/compat/histories. `epcache.entry_points` and `epcache.version` behave as in 3.12. 3.15
prefers distributions with metadata and refuses some values of entry points. So on 3.15 these two are compared
with an `importlib.metadata` that does neither: 3.15 runs with `definitions_of_312`, as one more interpreter.
"""

import multiprocessing
import os
import runpy
import tempfile

from compat.histories import play, processes
from support import interpreters

OLD = "3.15 as 3.12"
LAUNCHER = """#!/bin/sh
shift 3
exec /usr/bin/python3.15 -S -E -B {definitions} "$@"
"""


def oracle(version, role, kind):
    is_old = (version, role) == ("3.15", "own") and kind in play.OWN_SEMANTICS
    return OLD if is_old else version


def main():
    with tempfile.TemporaryDirectory() as directory:
        launcher = os.path.join(directory, "python")
        definitions = os.path.join(os.path.dirname(os.path.abspath(__file__)), "definitions_of_312.py")
        with open(launcher, "w") as file:
            file.write(LAUNCHER.format(definitions=definitions))
        os.chmod(launcher, 0o755)
        interpreters.VERSIONS[:] = ["3.14", "3.15"]
        found = {version: f"/usr/bin/python{version}" for version in interpreters.VERSIONS}
        processes.INTERPRETERS.clear()
        processes.INTERPRETERS.update(found, **{OLD: launcher})
        play.oracle = oracle
        # The changes made here must be inherited by the processes that play.
        multiprocessing.set_start_method("fork")
        runpy.run_module("compat.histories", run_name="__main__", alter_sys=True)


main()
