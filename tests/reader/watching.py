"""A process that watches a site directory while a test changes it (see `watcher_process.py`)."""

import contextlib
import json
import mmap
import pathlib
import subprocess
import time

from support.interpreters import READER


class Watching:
    """Its reports, and the number of its polls."""

    def __init__(self, process, polls, output):
        self._process = process
        self._polls = polls
        self._output = output
        while not output.read_text().endswith("\n"):
            assert process.poll() is None
            time.sleep(0.01)
        self.before = json.loads(output.read_text().splitlines()[0])
        self.reports = []
        self.installed = None

    @property
    def polls(self):
        return int.from_bytes(self._polls, "little")

    def wait_for(self, event):
        """Wait until an event, as `events` gives it, has been reported."""
        deadline = time.monotonic() + 30
        while True:
            lines = self._output.read_text().split("\n")[1:-1]
            self.reports = list(map(json.loads, lines))
            if event in self.events(event[1]):
                return
            assert time.monotonic() < deadline, f"{event} was not reported"
            time.sleep(0.05)

    def stop(self):
        """Wait until all changes are reported; then `reports` and `installed` are complete."""
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0
        _, *self.reports, self.installed = map(json.loads, self._output.read_text().splitlines())
        return self

    def events(self, *names):
        """All reported events as (kind, name, previous version, version)."""
        return [
            (kind, one["name"], one["previous_version"], one["version"])
            for report in self.reports
            for kind, ones in report.items()
            for one in ones
            if not names or one["name"] in names
        ]


@contextlib.contextmanager
def watched(python, site, pause=0.01):
    """A `Watching` of that interpreter."""
    site = pathlib.Path(site)
    counter = site.with_name(site.name + ".polls")
    counter.write_bytes(bytes(8))
    # A file, since a pipe would fill up.
    output = site.with_name(site.name + ".reports")
    script = pathlib.Path(__file__).with_name("watcher_process.py")
    command = [python, "-S", "-E", script, READER, site, counter, pause]
    with open(counter, "rb") as file, mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ) as polls:
        with open(output, "w") as stdout:
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=stdout)
        try:
            yield Watching(process, polls, output)
        finally:
            process.kill()
            process.wait()
