"""CPython's own tests of importlib.metadata, and importlib_metadata's, with acceleration on.

``PYTHONPATH=tests python -m compat.upstream.run`` runs the suites of every interpreter in every mode (see
`modes`), or with ``--sample`` some of them (see `in_sample`), and compares the failures with `expected`. It fails when a test fails that is not listed there,
when a listed test passes, or when indexes were not used.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

from support.checkout import READER, TESTS, debug_program

from . import expected, suites
from .fixture_indexes import Kind
from .modes import MODES
from .suites import BACKPORTS

SUITES = ["cpython", *BACKPORTS]

Run = namedtuple("Run", "suite version mode")

# Both in the sample for every Python: all of an index is proven at once, or each distribution for itself.
BRIEF = ["settled", "changed"]


def in_sample(run):
    """Whether a run is in the sample: the oldest and the newest Python in every mode, the others briefly."""
    oldest, newest = suites.VERSIONS[0], suites.VERSIONS[-1]
    if run.version in (oldest, newest):
        return True
    if run.suite != "cpython" and BACKPORTS[run.suite][run.version] == BACKPORTS[run.suite].get(newest):
        return False  # the newest Python runs the same release
    return run.mode in BRIEF


def runs(arguments):
    """Every run: suite, interpreter, mode. Only root can change the owner of files."""
    return [
        Run(suite, version, mode)
        for version in arguments.python or suites.wanted()
        for suite in arguments.suite or SUITES
        if suite == "cpython" or version in BACKPORTS[suite]
        for mode in arguments.mode or MODES
        if suite != "cpython" or not MODES[mode].after_import
        if MODES[mode].index != Kind.UNTRUSTED or os.geteuid() == 0
        if not arguments.sample or in_sample(Run(suite, version, mode))
    ]


def perform(run, tool):
    """The outcomes of one run, as `inside` writes them, and its duration in seconds."""
    python, _ = suites.environment(run.version)
    root = None if run.suite == "cpython" else str(suites.sdist(run.suite, run.version))
    with tempfile.TemporaryDirectory(prefix="upstream-") as directory:
        temporary = os.path.join(os.path.realpath(directory), "fixtures")
        os.mkdir(temporary)
        os.chmod(directory, 0o755)
        result = os.path.join(directory, "result")
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("EPCACHE", "PYTHON"))
        }
        variables.update(
            PYTHONPATH=os.pathsep.join(filter(None, [str(READER), root])),
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONIOENCODING="utf-8",
            TMPDIR=temporary,
            XDG_CACHE_HOME=os.path.join(directory, "cache"),
        )
        request = {"suite": run.suite, "mode": run.mode, "tool": tool, "root": root, "result": result}
        began = time.monotonic()
        done = subprocess.run(
            [str(python), "-m", "compat.upstream.inside", json.dumps(request)],
            check=False,
            cwd=TESTS,  # where the module is found, and the first entry of sys.path
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=300,
        )
        if not os.path.exists(result):
            return {"broken": f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"}, 0
        with open(result, encoding="utf-8") as file:
            return json.load(file), time.monotonic() - began


def problems(run, found):
    """The problems of a run, as lines to print."""
    if "broken" in found:
        return [f"the suite did not run: {found['broken']}"]
    listed = expected.tests(*run)
    failed = {name for name, test in found["tests"].items() if test["outcome"] == "failed"}
    wrong = [f"{name} fails\n{found['tests'][name]['detail']}" for name in sorted(failed - listed)]
    wrong += [f"{name} is expected to fail, and does not" for name in sorted(listed - failed)]
    if not found["tests"]:
        wrong.append("there are no tests")
    if MODES[run.mode].index is None:
        return wrong
    share = MODES[run.mode].share
    for module, answers in found["canary"].items():
        problem = "not answered from the index" if share else "answered from an outdated index"
        wrong += [f"{module}.{name} is {problem}" for name, yes in answers.items() if yes != bool(share)]
    could, used = took_part(found)
    if used < share * could or (share and not used):
        wrong.append(f"an index was used in {used} of {could} tests only")
    return wrong


def took_part(found):
    """The number of tests with an index, and the number of those that used one."""
    tests = [test for test in found["tests"].values() if test.get("could")]
    return len(tests), sum(test["used"] for test in tests)


def outcomes(found):
    """How many tests passed, failed, were skipped."""
    each = [test["outcome"] for test in found["tests"].values()]
    return {outcome: each.count(outcome) for outcome in ("passed", "failed", "skipped")}


def line(run, found, seconds):
    """One line of the report on the terminal."""
    name = suites.title(run.suite, run.version)
    text = f"{run.version:5} {name:26} {run.mode:8}"
    if "broken" in found:
        return text + " did not run"
    count = outcomes(found)
    text += f" {count['passed']:4} passed {count['failed']:3} failed {count['skipped']:2} skipped"
    if "made" in found:
        could, used = took_part(found)
        text += f"  {found['made']:3} indexes made, used in {used} of {could} tests"
    return f"{text}  ({seconds:.1f} s)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", action="append", choices=suites.VERSIONS, help="only this version")
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--mode", action="append", choices=list(MODES))
    parser.add_argument("--sample", action="store_true", help="some runs of all, the same each time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="so many interpreters at once")
    parser.add_argument(
        "--write", metavar="FILE", help="write the tables of a page (docs/internals/parity.md)"
    )
    arguments = parser.parse_args()
    missing = [
        version for version in arguments.python or suites.wanted() if version not in suites.INTERPRETERS
    ]
    if missing:
        sys.exit(f"no interpreter for Python {', '.join(missing)}: set EPCACHE_TEST_PYTHONS")
    wanted = runs(arguments)
    if os.geteuid():
        print("mode untrusted is left out: only root can give files to another user")
    tool = debug_program()
    for version in dict.fromkeys(run.version for run in wanted):
        # Packages installed beside the fixtures have an index, too.
        suites.run(tool, "refresh", suites.environment(version)[1])
    for suite, version in dict.fromkeys((run.suite, run.version) for run in wanted if run.suite != "cpython"):
        suites.sdist(suite, version)
    wrong = 0
    results = {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for run, (found, seconds) in zip(wanted, pool.map(lambda run: perform(run, tool), wanted)):
            results[run] = found
            print(line(run, found, seconds), flush=True)
            for problem_text in problems(run, found):
                wrong += 1
                print("    " + problem_text.strip().replace("\n", "\n        "), flush=True)
    if arguments.write:
        from . import report

        report.write(arguments.write, results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
