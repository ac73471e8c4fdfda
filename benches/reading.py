"""How much faster the reader answers than `importlib.metadata`, in the environment of each interpreter.

In one run for one interpreter after the other, all in the same site directory; see `environments`.
"""

import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path

import environments
import site_directory
import starting
from environments import GROUP, Environment, Site
from processes import Failed, Pairs
from report import Row

PACKAGE = environments.PACKAGE
INSTALLING = environments.INSTALLING
DISTRIBUTIONS = 500
MORE = 10_000
PROGRAM = Path(__file__).with_name("reading_process.py")
ROUNDS = 7
SLOW_ROUNDS = 4


def interpreters():
    """The available CPythons 3.9 to 3.13, as pairs of version and program."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = {}
    for minor in range(9, 14):
        candidates = [
            shutil.which(f"python3.{minor}"),
            *sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python3")),
        ]
        for candidate in filter(None, candidates):
            # A shim of pyenv is a shell script, whose time would be measured as well.
            script = "import platform, sys; print(platform.python_version(), sys.executable)"
            done = subprocess.run([candidate, "-c", script], capture_output=True, text=True, check=False)
            version, _, program = done.stdout.strip().partition(" ")
            if done.returncode == 0 and version.startswith(f"3.{minor}."):
                found.setdefault(minor, (version, program))
    if not found:
        raise Failed("no CPython 3.9 to 3.13 found")
    return list(found.values())


def facts():
    """The conditions of the measurement, for the page."""
    contents = site_directory.distributions(DISTRIBUTIONS)
    count = sum(len(distribution.entry_points.get(GROUP, ())) for distribution in contents)
    return {
        "group": f"{count} entry points",
        "more": f"{MORE:,}",
        "questions": starting.QUESTIONS,
        "starts": starting.STARTS,
    }


def rows(base, epcache, machine):
    """Measure everything; yields `Row`s."""
    site = Site.large(base, DISTRIBUTIONS)
    larger = Site.larger(base, MORE, site)
    for version, python in interpreters():
        with Environment(base, python, site, epcache) as environment:
            with Environment(base, python, larger, epcache) as other:
                yield from _in_process(version, machine, environment, other)
            yield from _as_processes(version, machine, environment, base)
            yield from _stale(version, machine, environment, site)
            environment.call("enable", "--accelerate", environment.site)
            for what, beside, instead, bound in (
                ("enabled", False, None, 0.4),
                ("enabled, beside that of setuptools", True, None, 0.3),
                ("`import sys` in a .pth", False, "import sys\n", None),
                ("an empty package in a .pth", False, "import beside\n", None),
            ):
                pairs = starting.of_enabling(machine, environment, beside, instead)
                yield Row.of_difference(version, f"start of an interpreter, {what}", pairs, at_most=bound)
    shutil.rmtree(site.home)
    shutil.rmtree(larger.home)


class Asking:
    """Processes of one environment that run queries, each library in turn."""

    def __init__(self, machine, *options):
        self._machine = machine
        self._options = options

    def rounds(self, count, question, libraries):
        """Their results: for each library (a name, the environment to run it in) a list of results."""
        results = {name: [] for name, _, _ in libraries}
        for number in range(Pairs.count(count)):
            answers = []
            for name, library, environment in libraries[:: 1 if number % 2 else -1]:
                command = [environment.python, *self._options, PROGRAM, library, question, GROUP]
                result = json.loads(self._machine.run(command, environment=environment.environment).output)
                answers.append(result.pop("answer"))
                results[name].append(result)
            if not answers[0] or any(answer != answers[0] for answer in answers):
                raise Failed(f"{question}: different answers: {str(answers)[:2000]}")
        return results


def _pairs(ours, theirs, measure):
    pairs = Pairs()
    for one, other in zip(ours, theirs):
        pairs.add(measure(one), measure(other))
    return pairs


def first(result):
    """The time of the first answer, without the import before it."""
    return result["first"]


def with_import(result):
    """The time of the import and the first answer."""
    return result["import"] + result["first"]


def again(result):
    """The time of the same answer again."""
    return statistics.median(result["later"])


def another(result):
    """The time of answers about other groups."""
    return statistics.median(result["others"])


def _in_process(version, machine, environment, larger):
    asking = Asking(machine)
    environment.call("enable", "--accelerate", environment.site)
    environment.refresh()
    libraries = [(name, name, environment) for name in ("epcache", "accelerated", "plain")]
    found = asking.rounds(ROUNDS, "group", libraries)
    if any("from the disk" in result for result in found["epcache"]):
        raise Failed(f"{version}: the answer did not come from the index")
    for what, measure, bounds in (
        ("the same group again", again, (200, 50)),
        ("another group", another, (None, None)),
        ("first call", first, (None, None)),
        ("import and first call", with_import, (None, None)),
    ):
        names = ("epcache.entry_points", "accelerated")
        for library, name, bound in zip(("epcache", "accelerated"), names, bounds):
            pairs = _pairs(found[library], found["plain"], measure)
            yield Row.of_ratio(version, f"`{name}`, {what}", pairs, at_least=bound)

    found = asking.rounds(ROUNDS, "pluggy", libraries[1:])
    for what, measure, bound in (("first pass", first, 5), ("later pass", again, 15)):
        pairs = _pairs(found["accelerated"], found["plain"], measure)
        yield Row.of_ratio(version, f"all distributions, as pluggy, {what}", pairs, at_least=bound)

    if not version.startswith("3.9."):
        found = asking.rounds(SLOW_ROUNDS, "packages", libraries[1:])
        for what, measure, bound in (("first call", first, None), ("again", again, 100)):
            pairs = _pairs(found["accelerated"], found["plain"], measure)
            yield Row.of_ratio(version, f"`packages_distributions`, {what}", pairs, at_least=bound)

    both = [("many", "epcache", larger), ("few", "epcache", environment)]
    found = asking.rounds(ROUNDS, "group", both)
    for what, measure in (("the same group again", again), ("another group", another), ("first call", first)):
        pairs = _pairs(found["many"], found["few"], measure)
        yield Row.of_ratio(version, f"{MORE:,} distributions, {what}", pairs, at_most=2)
    environment.call("disable", environment.site)


def _as_processes(version, machine, environment, scratch):
    environment.refresh()
    pairs = starting.of_asking(machine, environment)
    yield Row.of_ratio(version, "process that asks for a group", pairs, at_most=1.1)
    yield Row.of_ratio(
        version, "process that asks for a group: the processor's time", pairs.processor, at_most=1.1
    )
    counted = starting.of_paths(scratch, environment, version)
    yield Row.of_calls(version, counted["epcache"], counted["importlib.metadata"], at_most=20)


def _stale(version, machine, environment, site):
    environment.call("enable", "--accelerate", environment.site)
    environment.refresh()
    site.upgrade()
    libraries = [(name, name, environment) for name in ("epcache", "accelerated", "plain")]
    # Includes the warning that the index is stale.
    found = Asking(machine, "-W", "ignore").rounds(SLOW_ROUNDS, "group", libraries)
    for library, name in (("epcache", "epcache.entry_points"), ("accelerated", "accelerated")):
        for what, measure, bound in (("first call", first, None), ("again", again, 10)):
            pairs = _pairs(found[library], found["plain"], measure)
            yield Row.of_ratio(version, f"stale index, `{name}`, {what}", pairs, at_least=bound)
    site.upgrade(back=True)
    environment.call("disable", environment.site)
