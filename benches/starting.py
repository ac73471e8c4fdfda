"""What the reader adds to a whole process: time, calls that name a path, and the line that enables it."""

import re
import shutil
import subprocess
from pathlib import Path

from environments import GROUP
from processes import Failed, Pairs

NOTHING = "pass"
EPCACHE = f"import epcache; epcache.entry_points(group={GROUP!r})"
IMPORTLIB = f"from importlib.metadata import entry_points; entry_points().get({GROUP!r})"
IMPORTLIB_BY_GROUP = f"from importlib.metadata import entry_points; entry_points(group={GROUP!r})"

SITE = """
import site, time
start = time.perf_counter_ns()
site.main()
print(time.perf_counter_ns() - start)
"""

QUESTIONS = 200
STARTS = 300


def of_asking(machine, environment):
    """Times of processes that query a group, compared with processes that do nothing."""

    def ask(program):
        return lambda: machine.run([environment.python, "-c", program], environment=environment.environment)

    return Pairs.of_runs(QUESTIONS, lambda _: None, ask(EPCACHE), ask(NOTHING))


def of_enabling(machine, environment, beside=False, instead=None):
    """Times of `site.main` at the start of an interpreter, with and without the line of ``epcache enable``.

    With `beside`, another .pth file imports a package first, as that of setuptools does; with `instead`,
    that line is in place of ours. There is an empty package `beside`, which it can import. Measured within the process, since the time of whole processes varies
    by ten times as much."""
    other = environment.site / "beside.pth"
    package = environment.site / "beside"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    compiled = [environment.python, "-I", "-m", "compileall", "-q", package]
    subprocess.run(compiled, check=True, env=environment.environment)
    if beside:
        other.write_text("import beside\n")
    line = environment.site / "epcache.pth"
    aside = line.with_suffix(".aside")
    ours = line.read_text()
    line.write_text(instead or ours)

    def start():
        command = [environment.python, "-I", "-S", "-c", SITE]
        return int(machine.run(command, environment=environment.environment).output) / 1e6

    pairs = Pairs()
    for number in range(Pairs.count(STARTS)):
        times = {}
        for enabled in (True, False) if number % 2 else (False, True):
            if enabled is aside.exists():
                aside.rename(line) if enabled else line.rename(aside)
            times[enabled] = start()
        pairs.add(times[True], times[False])
    if aside.exists():
        aside.rename(line)
    line.write_text(ours)
    other.unlink(missing_ok=True)
    shutil.rmtree(package)
    return pairs


def of_paths(scratch, environment, version):
    """How many calls name a path, beyond those of an empty program: pairs for ``python -c`` and
    ``python script.py``, by library."""
    importlib = IMPORTLIB if version.startswith("3.9.") else IMPORTLIB_BY_GROUP
    counted = {}
    for library, program in (("nothing", NOTHING), ("epcache", EPCACHE), ("importlib.metadata", importlib)):
        script = Path(scratch, "project", "script.py")
        script.write_text(program)
        counted[library] = [
            _count(scratch, environment, ["-c", program]),
            _count(scratch, environment, [script]),
        ]
        script.unlink()
    nothing = counted.pop("nothing")
    return {library: [a - b for a, b in zip(counts, nothing)] for library, counts in counted.items()}


def _count(scratch, environment, arguments):
    trace = Path(scratch, "trace")
    command = ["strace", "-f", "-qq", "-e", "trace=%file", "-o", trace, environment.python, *arguments]
    done = subprocess.run(
        command,
        cwd=Path(scratch, "project"),
        env=environment.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or done.stderr:
        raise Failed(f"{command}: {done.stderr}")
    # fstat() appears as newfstatat() without a path, and getcwd() names none.
    return len(re.findall(r"^\d+ +(?!getcwd)\w+\((?!.*AT_EMPTY_PATH)", trace.read_text(), re.MULTILINE))
