"""What was measured: as rows of a table, held against the bounds, and as a page of the documentation."""

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
        """How many times as long as the floor something took."""
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
            "ratio": f"**{ratio:.2f}**",
            "quartiles": f"{low:.2f} to {high:.2f}",
            "bound": f"≤ {bound}" if bound else "",
            "peak memory": memory,
        }
        return cls("floor", cells, missed)

    @classmethod
    def of_hostility(cls, name, count, pairs, bound):
        """How many times as long as on a harmless directory something took on a hostile one."""
        low, ratio, high = pairs.ratio()
        hostile, harmless = pairs.medians()
        missed = [f"{name}, hostile: {ratio:.2f} times, more than {bound}"] if ratio > bound else []
        cells = {
            "what": name,
            "distributions": f"{count:,}",
            "hostile": f"{hostile:.1f} ms",
            "harmless": f"{harmless:.1f} ms",
            "ratio": f"**{ratio:.2f}**",
            "quartiles": f"{low:.2f} to {high:.2f}",
            "bound": f"≤ {bound}",
            "peak memory": f"{pairs.memory:.1f} MiB",
        }
        return cls("hostile", cells, missed)

    @classmethod
    def of_ratio(cls, version, what, pairs, at_least=None, at_most=None):
        """How many times as fast as something else (with `at_most`, as slow) the reader was."""
        low, ratio, high = pairs.ratio(invert=at_most is None)
        ours, theirs = pairs.medians()
        bound = f"≥ {at_least}" if at_least else f"≤ {at_most}" if at_most else ""
        met = not bound or (ratio >= at_least if at_least else ratio <= at_most)
        digits = 2 if at_most else 0 if ratio >= 20 else 1
        text = f"{ratio:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
        return cls._of_reading(version, what, bound, met, text, f"{_short(ours)} / {_short(theirs)}")

    @classmethod
    def of_difference(cls, version, what, pairs, at_most):
        """How much longer (ms) something took."""
        low, difference, high = pairs.difference()
        ours, theirs = pairs.medians()
        text = f"{difference:+.2f} ms ({low:+.2f} to {high:+.2f})"
        times = f"{_short(ours)} / {_short(theirs)}"
        bound = f"≤ {at_most} ms" if at_most else ""
        return cls._of_reading(version, what, bound, not at_most or difference <= at_most, text, times)

    @classmethod
    def of_calls(cls, version, ours, theirs, at_most):
        """How many more calls name a path: of `python -c` and of `python script.py`."""
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
    def of_program(cls, name, cells):
        """How long a program took without acceleration and with it."""
        return cls("programs", {"program": f"`{name}`", **cells}, [])


def _short(milliseconds):
    return f"{milliseconds:.{3 if milliseconds < 0.1 else 2 if milliseconds < 10 else 0}f}"


def by_version(rows, cell):
    """Rows of `reading` as one row for each thing measured, with a column for each version of Python."""
    found = {}
    for row in rows:
        what, version = row.cells["what"], row.cells["Python"]
        bound = {"bound": row.cells["bound"]} if cell == "measured" else {}
        cells = found.setdefault(what, {"what": what, **bound})
        text = row.cells[cell]
        if cell == "measured" and row.cells["bound"]:
            text = f"**{text}**" if not row.missed else f"**{text}, missed**"
        cells[version] = text
    versions = list(dict.fromkeys(row.cells["Python"] for row in rows))
    for cells in found.values():
        for version in versions:
            cells[version] = cells.pop(version, "")
    return [Row("reading", cells, []) for cells in found.values()]


def table(rows):
    """Rows of one kind as a table of Markdown that can be read as it is."""
    lines = [list(rows[0].cells), *(list(row.cells.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = ["-" * width for width in widths]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths)] for line in [lines[0], rule, *lines[1:]]
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def machine(scratch, quick):
    """On what it was measured, without names and paths."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", scratch]
    file_system = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"Linux {platform.release().split('-')[0]}, {platform.machine()}, {os.cpu_count()} CPUs, "
        f"{file_system}, everything in the page cache; load average {os.getloadavg()[0]:.1f}; "
        f"{time.strftime('%d %B %Y').lstrip('0')}{'; a tenth of what is said below (`--quick`)' if quick else ''}"
    )


PAGE = """\
# Benchmarks

This page is written by `make bench`, which runs everything below on the machine at hand, as root (a
trigger is run by root, and gives that up), in a few minutes, and fails when a bound does not hold.
It needs a C compiler, strace and, for the reader, whichever of Python 3.9 to 3.13 can be found; the real
programs are installed from the package index once.

{machine}.

Only the ratios mean something: what is compared is run alternately, so whatever else the machine
does falls on both. A ratio is the median of the ratios of the pairs; the quartiles tell how far they
lie apart, which they do on a busy machine. The site directories are synthetic and the same each time
(`benches/site_directory.py`).

    make bench                                 # everything, and this page
    benches/run --only refreshing              # the first table
    benches/run --only hostile                 # the second
    benches/run --only reading                 # the reader
    benches/run --only real_programs           # the real programs
    benches/run --only pip_hook                # pip with the hook
    benches/run --directory /some/where/else   # on another file system

## Against the floor

The floor (`benches/floor.c`) does the system calls that cannot be done without, and nothing else: it
parses, compares and verifies nothing.

* One change: one listing of the site directory, one `lstat` a distribution (for `refresh`, which
  finds edited files too, one of each metadata file as well), reading the distribution that changed,
  reading the old index, writing the new one, rename.
* Full: one listing, one `lstat` a distribution, opening and reading the metadata and the entry points
  of each, writing the index, rename. Metadata is read to its end, since only then is it known to be
  UTF-8, without which `importlib.metadata` refuses it.

Times are those of whole processes, from before the start until they have been waited for. Before each
pair of runs with one change, another release of one distribution is installed as dpkg does it, and
30 ms pass. Each run has to say that it has read what it had to and no more; `epcache verify` has to
find the index wrong after a change, and right after the run. Triggers and `--system` are run by root
on a tree with its own user `epcache`, so their times include the fork and giving up all privileges.
Peak memory is that of the largest process.

{floor}
## On a hostile directory

As many distributions as in the harmless one that it is compared with, in each of which something is wrong
(`benches/hostile.py`): named pipes, sockets, endless devices, sparse files of 1 TiB, links out of the
directory, directories 200 deep, noise, and names with control characters, in the place of metadata and
entry points.

{hostile}
## Against importlib.metadata

Every interpreter asks in a virtual environment of its own, in which the same site directory is put: 500
distributions, a third of them with entry points, with all the files that each RECORD names (20 to 200).
`pytest11`, the group asked for, has {group}. Except for the last rows the index is fresh. All
libraries have to give the same answer.

A cell tells how many times as fast the reader is as `importlib.metadata` without acceleration, with the
quartiles; a number in bold has a bound. Times of calls and imports are the processor's; of processes there
are both, those from before the start until they have been waited for, and the processor's.

* *`epcache.entry_points`* is this package's function; *accelerated* is `importlib.metadata.entry_points`
  (on 3.9, which knows no other way, `entry_points()[group]`) where `epcache enable --accelerate` was
  run.
* *the same group again*: in a process that has asked for it before. The reader looks whether anything
  has changed, and reads nothing. *another group*: the median of three that were not asked for before.
* *first call*: of a process, without the import. *import and first call*: with it; where
  `importlib.metadata` is imported, accelerated or not, that is most of it.
* *all distributions, as pluggy*: `distributions()` and the `entry_points` of each, as
  `PluginManager.load_setuptools_entrypoints` of pytest, tox and others does it.
* *{more} distributions* against 500, the group being of the same size: `epcache.entry_points`; here a
  number tells how many times as long it takes.
* *process that asks for a group*: `python -c 'import epcache; epcache.entry_points(...)'` against
  `python -c pass`, from start to end, {questions} pairs.
* *calls that name a path*: how many more the one makes than the other, as `python -c` and as
  `python script.py`, by strace (%file without getcwd and without those that name no path).
* *stale index*: one distribution of the group was upgraded since. The reader looks at each distribution,
  and reads that one.
* *start of an interpreter, enabled*: what a starting interpreter does with site directories
  (`site.main()`, timed by itself: whole processes differ too much) in an environment with the line that
  `epcache enable --accelerate` puts there, against the same without it, {starts} pairs. Reading the
  first .pth file of an environment takes an interpreter time whatever is in it (3.13 imports
  `encodings.utf_8_sig`), so there is another measurement where there is one already, and one of
  `import sys` in the place of our line, which is about the least that a line can do.

{reading}
The times in ms (epcache or accelerated / what it is compared with), medians; of calls that name a path,
their numbers (epcache / `importlib.metadata`, both more than the bare interpreter's):

{times}
## Real programs

Programs as they are, in an environment of {python} (`tests/compat/programs` makes sure that they say the same):
the processor's time of whole processes, without acceleration and with it, each first in turn; medians of
{rounds} pairs. First with what they need alone ({few} distributions), then with more installed beside it
({many} distributions), none of which has a plugin for them. stevedore keeps a cache of its own, which
is filled.

![Time of real programs with and without acceleration](programs.svg)

{programs}
## pip with the hook

pip in two equal environments of 500 distributions, one of them with `epcache enable --pip-hook`: whole
runs, each first in turn, and by how much the one takes longer, the median of the differences and its
quartiles; and, held against the bound, how long passes in the hook itself, within pip.

{hook}
"""


def write(path, rows, scratch, facts):
    """Write the page; `facts` are what else it tells."""
    kinds = ("floor", "hostile", "reading", "programs", "hook")
    of = {kind: [row for row in rows if row.table == kind] for kind in kinds}
    tables = {kind: table(of[kind]) for kind in ("floor", "hostile", "programs", "hook")}
    tables["reading"] = table(by_version(of["reading"], "measured"))
    tables["times"] = table(by_version(of["reading"], "times"))
    path.write_text(PAGE.format(machine=machine(scratch, Pairs.quick), **tables, **facts).rstrip() + "\n")
