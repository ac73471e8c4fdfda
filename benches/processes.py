"""Runs processes and compares how long they take, pair by pair.

Whole processes are timed, from before the start until they have been waited for. Two commands to be
compared run alternately, so that other load on the machine affects both. The result is the median of the
ratios.
"""

import os
import statistics
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


class Failed(Exception):
    """The measured action did not happen, so the measurement is invalid."""


class Machine:
    """The compiled programs, and a directory for the output of measured programs."""

    def __init__(self, scratch):
        self.floor = self._compiled("floor", scratch)
        self._measure = self._compiled("measure", scratch)
        self._scratch = scratch
        # The working directory of programs: with `python -c`, it is on sys.path.
        self.project = Path(scratch, "project")
        self.project.mkdir()
        (self.project / "README").touch()

    @staticmethod
    def _compiled(name, scratch):
        program = f"{scratch}/{name}"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, HERE / f"{name}.c"], check=True)
        return program

    def run(self, command, user=None, environment=None, status=0, may_complain=False):
        """Run a command to its end and return its `Run`. It must exit with `status` and, unless
        `may_complain`, print nothing on standard error."""
        receiving, sending = os.pipe()
        become = [] if user is None else ["-u", str(user)]
        with tempfile.TemporaryFile(dir=self._scratch) as output_file, tempfile.TemporaryFile() as error_file:
            subprocess.run(
                [self._measure, str(sending), *become, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=error_file,
                cwd=self.project,
                env={"PATH": "/usr/bin:/bin", **(environment or {})},
                pass_fds=[sending],
                check=False,
            )
            os.close(sending)
            with open(receiving) as result:
                numbers = result.read().split()
            output_file.seek(0)
            error_file.seek(0)
            output, errors = output_file.read().decode(), error_file.read().decode()
        if len(numbers) != 4 or int(numbers[2]) != status << 8 or (errors and not may_complain):
            raise Failed(f"{' '.join(map(str, command))}: {numbers}: {errors}{output}")
        return Run(int(numbers[0]) / 1e6, int(numbers[3]) / 1e3, int(numbers[1]) / 1024, output)


class Run:
    """Wall time of a process (ms), its processor time (ms), its peak resident set (MiB), and its
    output."""

    def __init__(self, milliseconds, processor, memory, output):
        self.milliseconds = milliseconds
        self.processor = processor
        self.memory = memory
        self.output = output


class Pairs:
    """Times of two things, measured alternately. `quick` takes a tenth of the requested number."""

    quick = False

    def __init__(self):
        self.ours = []
        self.theirs = []
        self.memory = 0
        self.processor = None  # the processor times of whole processes

    @classmethod
    def count(cls, asked_for):
        """The number of repetitions for a requested number."""
        return max(asked_for // 10, 2) if cls.quick else asked_for

    @classmethod
    def of_runs(cls, count, before, ours, theirs):
        """Run both `count` times, alternating which is first, after `before(number)`."""
        pairs = cls()
        pairs.processor = cls()
        for number in range(cls.count(count)):
            before(number)
            runs = {}
            for run in (ours, theirs) if number % 2 else (theirs, ours):
                runs[run] = run()
            pairs.add(runs[ours].milliseconds, runs[theirs].milliseconds)
            pairs.processor.add(runs[ours].processor, runs[theirs].processor)
            pairs.memory = max(pairs.memory, runs[ours].memory)
        return pairs

    def add(self, ours, theirs):
        """Add one pair of times, in ms."""
        self.ours.append(ours)
        self.theirs.append(theirs)

    def ratio(self, invert=False):
        """The first quartile, median and third quartile of ours / theirs, or the inverse."""
        ratios = [b / a if invert else a / b for a, b in zip(self.ours, self.theirs)]
        return statistics.quantiles(ratios, n=4)

    def medians(self):
        """The median times of ours and theirs, in ms."""
        return statistics.median(self.ours), statistics.median(self.theirs)

    def difference(self):
        """The first quartile, median and third quartile of ours - theirs, in ms."""
        return statistics.quantiles([a - b for a, b in zip(self.ours, self.theirs)], n=4)
