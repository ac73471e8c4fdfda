"""One run of a program: what it said, and which files of the site directory it read."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass

from .environment import variables

# What differs between two runs of the same: addresses of objects (pytest calls plugins by them that have
# no name), and how long it took.
RANDOM = re.compile(r"(?<= at )0x[0-9a-f]+|(?<= in )\d+\.\d+s|(?m:^ +\d{12,} +(?=: <))")


@dataclass
class Traced:
    status: int
    output: str
    errors: str
    read: Counter  # of paths below the site directory
    of_a_set: bool

    def said(self):
        """All that a user could compare."""
        output, errors = (RANDOM.sub("*", text).splitlines() for text in (self.output, self.errors))
        return self.status, sorted(output) if self.of_a_set else output, errors

    def files(self, name):
        """How many files of this name were read, each counted as often as it was."""
        return sum(count for path, count in self.read.items() if path.rpartition("/")[2] == name)


def start(environment, program, scratch, *interpreter):
    """Run a program to its end; `scratch` is a directory for this run alone.

    With `interpreter`, by this command instead of its own first line.
    """
    for place in ("project", "cache", "config"):
        (scratch / place).mkdir(parents=True)
    command = [str(environment.bin / program.command[0]), *program.command[1:]]
    trace = scratch / "trace"
    opened = ["-e", "trace=open,openat", "-e", "status=successful"]
    path = f"{environment.bin}:/usr/bin:/bin"
    done = subprocess.run(
        ["strace", "-f", "-qq", "--seccomp-bpf", *opened, "-o", trace, *interpreter, *command],
        cwd=scratch / "project",
        env=variables(scratch, PATH=path, **program.variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    below = re.compile(re.escape(f'"{environment.site}/') + '([^"]+)"')
    read = Counter(below.findall(trace.read_text(errors="replace")))
    # Scratch directories differ, and programs may name theirs.
    output, errors = (text.replace(str(scratch), "SCRATCH") for text in (done.stdout, done.stderr))
    return Traced(done.returncode, output, errors, read, program.of_a_set)
