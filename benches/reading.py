"""How much faster the reader answers than `importlib.metadata`."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import site_directory
from processes import Failed, Pairs
from refreshing import Caller, Tree
from report import Row

DISTRIBUTIONS = 500
BOUND = 100
INSTALLING = 3.1  # s
PROCESSES = 30
FRESH = ("first call", "import and first call", "process")
GROUPS = {"plugins": "pytest11", "scripts": "console_scripts"}
PROGRAM = Path(__file__).with_name("reading_process.py")
PACKAGE = Path(__file__).parent.parent / "python/epcache"


def interpreters():
    """The CPythons 3.9 to 3.13 that can be found, as pairs of version and program."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = {}
    for minor in range(9, 14):
        candidates = [shutil.which(f"python3.{minor}"), *sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python3"))]
        for candidate in filter(None, candidates):
            # A shim of pyenv is a shell script, and would be measured with it.
            script = "import platform, sys; print(platform.python_version(), sys.executable)"
            done = subprocess.run([candidate, "-c", script], capture_output=True, text=True, check=False)
            version, _, program = done.stdout.strip().partition(" ")
            if done.returncode == 0 and version.startswith(f"3.{minor}."):
                found.setdefault(minor, (version, program))
    if not found:
        raise Failed("no CPython 3.9 to 3.13 found")
    return list(found.values())


def rows(base, epcache, machine):
    """Measure everything; yields `Row`s."""
    tree = Tree(base, DISTRIBUTIONS)
    shutil.copytree(PACKAGE, tree.site / "epcache", ignore=shutil.ignore_patterns("__pycache__"))
    # The index of what was installed within the last three seconds makes readers look twice.
    time.sleep(INSTALLING)
    Caller(tree, epcache, machine, as_root=False).settle()
    for version, python in interpreters():

        def run(libraries, group, python=python):
            run = machine.run([python, "-S", "-E", PROGRAM, libraries, tree.site, group])
            return run.milliseconds, json.loads(run.said)

        for group, fresh in zip(GROUPS.values(), (True, False)):
            compared = {
                "repeated call": _repeated(run, "both", group),
                "call that reads": _repeated(run, "forgetting", group),
            }
            compared.update(_fresh(run, group) if fresh else dict.fromkeys(FRESH))
            yield Row.against_importlib(version, group, compared, {"repeated call": BOUND})
    shutil.rmtree(tree.root)


def sizes():
    """How many entry points the groups have that are asked for."""
    contents = site_directory.distributions(DISTRIBUTIONS)
    count = {group: sum(len(one.entry_points.get(group, ())) for one in contents) for group in GROUPS.values()}
    return {name: f"{count[group]} entry points" for name, group in GROUPS.items()}


def _repeated(run, how, group):
    pairs = Pairs()
    for times in run(how, group)[1]["pairs"]:
        pairs.add(*times)
    return pairs


def _fresh(run, group):
    """Pairs of times of fresh processes, by what was timed."""
    compared = {what: Pairs() for what in FRESH}
    libraries = ["epcache", "importlib.metadata"]
    for number in range(PROCESSES):
        runs = {library: run(library, group) for library in (libraries if number % 2 else libraries[::-1])}
        (our_process, ours), (their_process, theirs) = (runs[library] for library in libraries)
        if ours["answer"] != theirs["answer"] or not ours["answer"]:
            raise Failed(f"{group}: different answers")
        for what, times in zip(
            FRESH,
            [
                (ours["call"], theirs["call"]),
                (ours["import"] + ours["call"], theirs["import"] + theirs["call"]),
                (our_process, their_process),
            ],
        ):
            compared[what].add(*times)
    return compared
