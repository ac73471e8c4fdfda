"""The tables of docs/internals/parity.md, from the outcomes of the tests."""

import pathlib

from . import expected, suites
from .modes import MODES

BEGIN = "<!-- written by tests/compat/upstream/run.py --write -->"
END = "<!-- end of what is written -->"

RESULTS = (
    "A cell says how many tests passed of those that ran, and in parentheses how many got an answer from"
    " an index of those that met one."
)


def write(file, results):
    """Replace the text between the two marks in a document."""
    path = pathlib.Path(file)
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{file}: no marks to write between\nhint: the first is {BEGIN}")
    path.write_text(before + BEGIN + "\n\n" + text(results) + "\n" + END + after, encoding="utf-8")


def text(results):
    """The text between the marks."""
    modes = [name for name in MODES if any(run.mode == name for run in results)]
    lines = ["| mode | indexes | read by at least |", "|---|---|---:|"]
    for name in modes:
        share = f"{MODES[name].share:.0%}" if MODES[name].share else ""
        lines.append(f"| `{name}` | {MODES[name].text} | {share} |")
    lines += ["", RESULTS, ""]
    lines += ["| suite | " + " | ".join(modes) + " |", "|---|" + "---:|" * len(modes)]
    for suite, version in dict.fromkeys((run.suite, run.version) for run in results):
        cells = []
        for mode in modes:
            found = next((results[run] for run in results if run == (suite, version, mode)), None)
            cells.append("" if found is None else cell(found))
        lines.append(f"| {title(suite, version)} | " + " | ".join(cells) + " |")
    lines += ["", *exceptions(results)]
    return "\n".join(lines) + "\n"


def cell(found):
    """Passed tests of all that ran; tests that used an index, of those that had one."""
    tests = [test for test in found["tests"].values() if test["outcome"] != "skipped"]
    cell_text = f"{sum(test['outcome'] == 'passed' for test in tests)}/{len(tests)}"
    if "made" in found:
        could = [test for test in tests if test["could"]]
        cell_text += f" ({sum(test['used'] for test in could)}/{len(could)})"
    return cell_text


def title(suite, version):
    if suite != "cpython":
        return f"`importlib_metadata` {suites.BACKPORTS[suite][version]} on {version}"
    code = "import platform; print(platform.python_version())"
    return "CPython " + suites.run(suites.INTERPRETERS[version], "-S", "-E", "-c", code).strip()


def exceptions(results):
    """One line for each test that is expected to fail in one of these runs."""
    if not expected.EXPECTED:
        return ["No test is expected to fail."]
    lines = ["| test | on | in | why it cannot hold |", "|---|---|---|---|"]
    for entry in expected.EXPECTED:
        where = ", ".join(entry.versions)
        modes = "all modes" if set(entry.modes) == set(MODES) else ", ".join(entry.modes)
        lines.append(f"| `{entry.test}` | {where} | {modes} | {entry.reason} |")
    return lines
