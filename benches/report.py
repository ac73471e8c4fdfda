"""What was measured: as rows of a table, held against the bounds, and as a page of the documentation."""

import os
import platform
import subprocess
import time


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
    def against_importlib(cls, version, group, compared, bounds):
        """How many times as fast as `importlib.metadata` something was, by what was timed."""
        cells = {"Python": version, "group": f"`{group}`"}
        missed = []
        for what, pairs in compared.items():
            if pairs is None:
                cells[what] = ""
                continue
            low, ratio, high = pairs.ratio(invert=True)
            ours, theirs = pairs.medians()
            bound = bounds.get(what)
            if bound and ratio < bound:
                missed.append(f"Python {version}, {group}, {what}: {ratio:.0f} times as fast, not {bound}")
            text = f"**{ratio:.0f}** ({low:.0f} to {high:.0f}): {ours:.2f} and {theirs:.1f} ms"
            cells[what] = text + (f"; ≥ {bound}" if bound else "")
        return cls("importlib", cells, missed)


def table(rows):
    """Rows of one kind as a table of Markdown that can be read as it is."""
    lines = [list(rows[0].cells), *(list(row.cells.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = ["-" * width for width in widths]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths)] for line in [lines[0], rule, *lines[1:]])
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def machine(scratch):
    """On what it was measured, without names and paths."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", scratch]
    file_system = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"Linux {platform.release().split('-')[0]}, {platform.machine()}, {os.cpu_count()} CPUs, "
        f"{file_system}, everything in the page cache; load average {os.getloadavg()[0]:.1f}; "
        f"{time.strftime('%d %B %Y').lstrip('0')}"
    )


PAGE = """\
# Benchmarks

This page is written by `make bench`, which runs everything below on the machine at hand, as root (a
trigger is run by root, and gives that up), in a few minutes, and fails when a bound does not hold.
It needs a C compiler and, for the reader, whichever of Python 3.9 to 3.13 can be found.

{machine}.

Only the ratios mean something: what is compared is run alternately, so whatever else the machine
does falls on both. A ratio is the median of the ratios of the pairs; the quartiles tell how far they
lie apart, which they do on a busy machine. The site directories are synthetic and the same each time
(`benches/site_directory.py`).

    make bench                                 # everything, and this page
    benches/run --only refreshing              # the first table
    benches/run --only reading                 # the second
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
## Against importlib.metadata

One group of a site directory of 500 distributions, with a fresh index, asked for with `python -S -E`:
`pytest11` with its {plugins}, and `console_scripts`, the largest, with its {scripts}. Both
have to give the same answer. A cell tells how many times as fast the reader is (with the quartiles),
and the times of `epcache` and of `importlib.metadata`; those of calls and imports are the
processor's. The index was made more than three seconds after the last installation; before that,
readers compare the stamps of each new distribution as well, and are slower.

* *repeated call*: `entry_points(group=...)` in a process that has asked for the same group before: the
  median of five calls of the one, then of the other. The bound of 100 is about this. The reader then
  looks at the site directory and at the index, finds them as they were, and reads nothing.
* *call that reads*: the same where the reader has forgotten the answer and reads the index anew, as
  it does for another group. With hundreds of entry points both spend their time on making objects.
* *first call*: the first in a fresh process, without the import. Both then look through the
  directories of the standard library as well, which are on `sys.path`, and have no index.
* *import and first call*: the same, together with `import epcache` or `import importlib.metadata`.
* *process*: from the start of the interpreter to its end, most of which is the interpreter's own.

{importlib}
"""


def write(path, rows, scratch, sizes):
    """Write the page; `sizes` are the numbers of entry points of the groups."""
    tables = {kind: table([row for row in rows if row.table == kind]) for kind in ("floor", "importlib")}
    path.write_text(PAGE.format(machine=machine(scratch), **tables, **sizes).rstrip() + "\n")
