"""Measurements as rows of a table, compared with their bounds, and as a page of the documentation."""

import os
import platform
import subprocess
import time

from processes import Pairs


class Row:
    """One comparison. `missed` names the bounds that do not hold."""

    def __init__(self, table, cells, missed):
        self.table = table
        self.cells = cells
        self.missed = missed

    @classmethod
    def against_floor(cls, name, count, pairs, bound=None, memory_bound=None):
        """A row: how many times the floor something took."""
        low, ratio, high = pairs.ratio()
        ours, floor = pairs.medians()
        missed = []
        if bound and ratio > bound:
            missed.append(f"{name}, {count}: {ratio:.2f} times its floor, more than {bound}")
        if memory_bound and pairs.memory >= memory_bound:
            missed.append(f"{name}, {count}: {pairs.memory:.1f} MiB, not below {memory_bound}")
        memory = f"{pairs.memory:.1f} MiB" + (f" (< {memory_bound})" if memory_bound else "")
        cells = {
            "what": name,
            "distributions": f"{count:,}",
            "epcache": f"{ours:.1f} ms",
            "floor": f"{floor:.1f} ms",
            "ratio": f"**{ratio:.2f}**" + (", missed" if bound and ratio > bound else ""),
            "quartiles": f"{low:.2f} to {high:.2f}",
            "bound": f"≤ {bound}" if bound else "",
            "peak memory": memory,
        }
        return cls("floor", cells, missed)

    @classmethod
    def of_hostility(cls, name, count, pairs, bound):
        """A row: the time on a hostile directory, as a multiple of that on a harmless one."""
        low, ratio, high = pairs.ratio()
        hostile, harmless = pairs.medians()
        missed = [f"{name}, hostile: {ratio:.2f} times, more than {bound}"] if ratio > bound else []
        cells = {
            "what": name,
            "distributions": f"{count:,}",
            "hostile": f"{hostile:.1f} ms",
            "harmless": f"{harmless:.1f} ms",
            "ratio": f"**{ratio:.2f}**" + (", missed" if missed else ""),
            "quartiles": f"{low:.2f} to {high:.2f}",
            "bound": f"≤ {bound}",
            "peak memory": f"{pairs.memory:.1f} MiB",
        }
        return cls("hostile", cells, missed)

    @classmethod
    def of_ratio(cls, version, what, pairs, at_least=None, at_most=None):
        """A row: how many times as fast the reader was (with `at_most`: as slow)."""
        low, ratio, high = pairs.ratio(invert=at_most is None)
        ours, theirs = pairs.medians()
        bound = f"≥ {at_least}" if at_least else f"≤ {at_most}" if at_most else ""
        met = not bound or (ratio >= at_least if at_least else ratio <= at_most)
        digits = 2 if at_most else 0 if ratio >= 20 else 1
        text = f"{ratio:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
        return cls._of_reading(version, what, bound, met, text, f"{_short(ours)} / {_short(theirs)}")

    @classmethod
    def of_difference(cls, version, what, pairs, at_most):
        """A row: how much longer (ms) something took."""
        low, difference, high = pairs.difference()
        ours, theirs = pairs.medians()
        text = f"{difference:+.2f} ms ({low:+.2f} to {high:+.2f})"
        times = f"{_short(ours)} / {_short(theirs)}"
        bound = f"≤ {at_most} ms" if at_most else ""
        return cls._of_reading(version, what, bound, not at_most or difference <= at_most, text, times)

    @classmethod
    def of_calls(cls, version, ours, theirs, at_most):
        """A row: how many more calls name a path, of `python -c` and of `python script.py`."""
        what = "calls that name a path"
        text, others = (" and ".join(map(str, counts)) for counts in (ours, theirs))
        return cls._of_reading(
            version, what, f"≤ {at_most}", max(ours) <= at_most, text, f"{text} / {others}"
        )

    @classmethod
    def _of_reading(cls, version, what, bound, met, text, times):
        cells = {"what": what, "Python": version, "bound": bound, "measured": text, "times": times}
        missed = [] if met else [f"Python {version}, {what}: {text}, not {bound}"]
        return cls("reading", cells, missed)

    @classmethod
    def of_call(cls, what, name, sizes, main, at_least):
        """A row: how many times as fast a call was with acceleration, or how many files it opened, by the number
        of distributions. The bound is for the number `main`."""
        cells, missed = {"call": name}, []
        for size, found in sizes.items():
            head = f"{size:,}"
            if isinstance(found, tuple):
                cells[head] = " / ".join(map(str, found))
                continue
            ours, theirs = found.medians()
            ratio = found.ratio(invert=True)[1] if len(found.ours) > 1 else theirs / ours
            text = f"{ratio:.{0 if ratio >= 20 else 1 if ratio >= 2 else 2}f}"
            if size == main and at_least and round(ratio, 2) < at_least:
                missed.append(
                    f"{name}, {what}, {size} distributions: {ratio:.2f} times as fast, not {at_least}"
                )
                text += ", missed"
            cells[head] = f"{_short(ours)} / {_short(theirs)}: **{text}**"
        if what in ("processor", "network"):
            cells["bound"] = f"≥ {at_least}" if at_least else ""
        return cls(f"calls: {what}", cells, missed)

    @classmethod
    def of_program(cls, name, cells):
        """A row: how long a program took without acceleration and with it."""
        return cls("programs", {"program": f"`{name}`", **cells}, [])


def _short(milliseconds):
    return f"{milliseconds:.{3 if milliseconds < 0.1 else 2 if milliseconds < 10 else 0}f}"


def by_version(rows, cell):
    """Rows of `reading` regrouped: one for each measurement, with a column for each version of Python."""
    found = {}
    for row in rows:
        what, version = row.cells["what"], row.cells["Python"]
        bound = {"bound": row.cells["bound"]} if cell == "measured" else {}
        cells = found.setdefault(what, {"what": what, **bound})
        text = row.cells[cell]
        if cell == "measured" and row.cells["bound"]:
            text = f"**{text}, missed**" if row.missed else f"**{text}**"
        cells[version] = text
    versions = list(dict.fromkeys(row.cells["Python"] for row in rows))
    for cells in found.values():
        for version in versions:
            cells[version] = cells.pop(version, "")
    return [Row("reading", cells, []) for cells in found.values()]


def table(rows):
    """Rows of one kind as a Markdown table that is aligned in plain text."""
    lines = [list(rows[0].cells), *(list(row.cells.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = ["-" * width for width in widths]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths)] for line in [lines[0], rule, *lines[1:]]
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def machine(scratch, quick):
    """The machine of the measurement, without names and paths."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", scratch]
    file_system = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"Linux {platform.release().split('-')[0]}, {platform.machine()}, {os.cpu_count()} CPUs, "
        f"{file_system}, everything in the page cache; load average {os.getloadavg()[0]:.1f}; "
        f"{time.strftime('%d %B %Y').lstrip('0')}{'; a tenth of what is said below (`--quick`)' if quick else ''}"
    )


PAGE = """\
# Benchmarks

`make bench` writes this page. It runs everything below on the machine at hand, in three quarters of an hour, and fails
when a bound does not hold. It needs root (a trigger starts as root and drops its privileges), a C compiler,
libfuse 3, strace and any of Python 3.9 to 3.13. The real programs are installed from the package index once.

{machine}.

{exceeded}
Only the ratios mean something. What is compared is run alternately, so that other load on the machine
affects both. A ratio is the median of the ratios of the pairs. The quartiles show how far the ratios are
apart, which is far on a busy machine. The site directories are synthetic and the same each time
(`benches/site_directory.py`).

    make bench                                 # everything, and this page
    benches/run --only calls                   # what programs ask
    benches/run --only refreshing              # the floor
    benches/run --only hostile                 # the hostile directory
    benches/run --only reading                 # the reader
    benches/run --only real_programs           # the real programs
    benches/run --only pip_hook                # pip with the hook
    benches/run --only hooks                   # registered hooks
    benches/run --directory /some/where/else   # on another file system

## What programs ask

What programs ask `importlib.metadata` when they start, with acceleration and without: each in a process of its own
(`benches/calls_process.py`), in two environments of {python} with the same synthetic distributions. A cell says
with / without, and how many times as fast it is with acceleration. The bounds hold for 600 distributions.

Processor time in ms beyond the import of `importlib.metadata`; in the last four rows, that of the whole process:

{calls_processor}
Files and directories that are opened in the environment:

{calls_files}
Elapsed ms of the import and the call (for pip of the whole process) with nothing in the page cache:

{calls_cold}
The same on a file system in which each request takes 1 ms and attributes are kept for 3 s (`benches/slow_fs.c`), as
on a network file system; one pair of each, {network_rounds} of those with the import:

{calls_network}
## Against the floor

The floor (`benches/floor.c`) makes the system calls that cannot be avoided, and nothing else. It parses,
compares and verifies nothing.

* One change: one listing of the site directory, one `lstat` for each distribution (for `refresh`, which
  finds edited files too, one more for each metadata file), reading the distribution that changed, reading
  the old index, writing the new one, rename.
* Full: one listing, one `lstat` for each distribution, opening and reading the metadata and the entry points
  of each, writing the index, rename. Metadata is read to its end, because `importlib.metadata` refuses
  metadata that is not UTF-8, and only the end shows that.

Times are those of whole processes, from before the start to the end of the wait. Before each pair of runs
with one change, another release of one distribution is installed as dpkg does it, and 30 ms pass. Each run
must report that it read what it had to and no more (an owner's refresh also what was changed less than 3 s ago). `epcache verify` must find the index wrong after the
change, and right after the run. Triggers and `--system` run as root on a tree with its own user `epcache`,
so their times include the fork and dropping all privileges. Peak memory is that of the largest process.

Landlock checks every file that is opened. That is about a sixth of the processor time of a full refresh.

Where the processor time of a trigger with one change goes at 500 distributions, from 60 runs sampled with
`perf record` (the floor takes about 45 % as much):

| part                                                                    | share |
| ----------------------------------------------------------------------- | ----- |
| loader, and start of the runtime: the floor has most of this, too       | 21 %  |
| stamps, and reading what changed: so does the floor                     | 19 %  |
| memory: taking it, touching it first, giving it back                    | 14 %  |
| reading and parsing the old index                                       | 11 %  |
| rendering and writing the new one: the floor writes, too                | 9 %   |
| giving up privileges, limits, Landlock, the filter of system calls      | 7 %   |
| fork, answer, waiting, end                                              | 5 %   |
| other work of the refresh: locks, comparisons, unneeded indexes         | 5 %   |
| configuration, finding site directories, user databases, rest           | 9 %   |

Below `--root` or `DPKG_ROOT`, the number of the tree's user is looked up in all user databases of the running system,
which loads the modules of `nsswitch.conf`. With systemd's this takes 0.45 ms, part of it the loader's.

{floor}
## On a hostile directory

As many distributions as in the harmless directory beside it, each with something wrong in place of metadata
and entry points (`benches/hostile.py`): named pipes, sockets, endless devices, sparse files of 1 TiB, links
out of the directory, directories 200 deep, noise, and names with control characters.

{hostile}
## Against importlib.metadata

Every interpreter asks in a virtual environment of its own, with the same site directory in it: 500
distributions, a third of them with entry points, with all the files that each RECORD names (20 to 200).
`pytest11`, the group asked for, has {group}. The index is fresh except in the rows that say otherwise. All
libraries must give the same answer.

A cell says how many times as fast the reader is as `importlib.metadata` without acceleration, with the
quartiles. A number in bold has a bound. Calls and imports are measured in processor time. Processes are
measured in both: from before the start to the end of the wait, and in processor time.

* *`epcache.entry_points`* is this package's function. *accelerated* is `importlib.metadata.entry_points`
  where `epcache enable --accelerate` was run (on 3.9, which has no other way, `entry_points()[group]`).
* *the same group again*: in a process that has asked for it before. The reader checks whether anything
  has changed, and reads nothing. *another group*: the median of three that were not asked for before.
* *first call*: of a process, without the import. *import and first call*: with it. If
  `importlib.metadata` is imported, accelerated or not, the import is most of it.
* *all distributions, as pluggy*: `distributions()` and the `entry_points` of each, as
  `PluginManager.load_setuptools_entrypoints` of pytest, tox and others does it.
* *{more} distributions* against 500, with a group of the same size: `epcache.entry_points`. Here a
  number says how many times as long it takes.
* *process that asks for a group*: `python -c 'import epcache; epcache.entry_points(...)'` against
  `python -c pass`, from start to end, {questions} pairs.
* *calls that name a path*: how many more the one makes than the other, as `python -c` and as
  `python script.py`, by strace (%file without getcwd and without those that name no path).
* *stale index*: one distribution of the group was upgraded since. The reader checks each distribution,
  and reads that one.
* *start of an interpreter, enabled*: what a starting interpreter does with site directories
  (`site.main()`, timed by itself because whole processes vary too much). It compares an environment with
  the `epcache.pth` of `epcache enable --accelerate` with the same one without it, {starts} pairs. The line
  imports a package, and the first import from a site directory lists it. One row measures an environment
  in which another .pth file does so anyway, as that of setuptools does. One row measures `import sys` in
  place of our line, which is about the least that a line can do, and one the import of an empty package.

{reading}
The times in ms (epcache or accelerated / what it is compared with), medians. For calls that name a path,
their numbers (epcache / `importlib.metadata`, both in addition to the bare interpreter's):

{times}
## Real programs

Unmodified programs in an environment of {python} (`tests/compat/programs` compares their output): processor time
of whole processes, without acceleration and with it, each first in turn; medians of {rounds} pairs. First
with only what they need ({few} distributions), then with more installed beside it ({many} distributions),
none of which has a plugin for them. stevedore has a cache of its own, which is filled.

![Time of real programs with and without acceleration](programs.svg)

{programs}
## pip with the hook

pip in two equal environments of 500 distributions, one of them with `epcache enable --pip-hook`. Whole runs,
each first in turn: how much longer the one with the hook takes (the median of the differences and its
quartiles). The bound is for the time within the hook itself.

{hook}
## Registered hooks

`refresh` by the owner of an environment of 80 distributions, after one was changed; its [hooks](../reference/hooks.md)
are enabled. It is compared with the same directory outside of an environment, where no hook is looked for. Whole
processes, each first in turn. The hook that runs is `/usr/bin/true`, started with everything that confines it, and its
bound is three times what the same program takes by itself.

{hooks}
"""


def exceeded(rows):
    """The exceeded bounds, as a Markdown list."""
    missed = [text for row in rows for text in row.missed]
    if not missed:
        return "All bounds hold.\n"
    return "".join(["**Bounds that do not hold:**\n\n", *(f"* {text}\n" for text in missed)])


def write(path, rows, scratch, facts):
    """Write the page; `facts` are further values that it shows."""
    kinds = ("floor", "hostile", "reading", "programs", "hook", "hooks")
    of = {kind: [row for row in rows if row.table == kind] for kind in kinds}
    tables = {kind: table(of[kind]) for kind in ("floor", "hostile", "programs", "hook", "hooks")}
    for kind in ("processor", "files", "cold", "network"):
        tables[f"calls_{kind}"] = table([row for row in rows if row.table == f"calls: {kind}"])
    tables["reading"] = table(by_version(of["reading"], "measured"))
    tables["times"] = table(by_version(of["reading"], "times"))
    path.write_text(
        PAGE.format(
            machine=machine(scratch, Pairs.quick), exceeded=exceeded(rows), **tables, **facts
        ).rstrip()
        + "\n"
    )
