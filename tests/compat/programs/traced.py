"""One traced run of a program: its output, and the files of the site directory that it read."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass

from .environment import variables

# What differs between two equal runs: addresses of objects (pytest shows unnamed plugins by them), and
# durations.
RANDOM = re.compile(r"(?<= at )0x[0-9a-f]+|(?<= in )\d+\.\d+s|(?m:^ +\d{12,} +(?=: <))")


@dataclass
class Traced:
    status: int
    output: str
    errors: str
    read: Counter  # of paths below the site directory
    of_a_set: bool

    def comparable_output(self):
        """All output that a user could compare."""
        output, errors = (RANDOM.sub("*", text).splitlines() for text in (self.output, self.errors))
        return self.status, sorted(output) if self.of_a_set else output, errors

    def files(self, name):
        """How many times files of this name were read."""
        return sum(count for path, count in self.read.items() if path.rpartition("/")[2] == name)


def start(environment, program, scratch, *interpreter):
    """Run a program to its end; `scratch` is a directory for this run alone.

    With `interpreter`, by this command instead of the one in its first line.
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
    # Scratch directories differ, and programs may print their paths.
    output, errors = (text.replace(str(scratch), "SCRATCH") for text in (done.stdout, done.stderr))
    return Traced(done.returncode, output, errors, read, program.of_a_set)
