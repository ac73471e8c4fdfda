"""The long-lived interpreters that answer, and the protocol with each."""

import json
import os
import pathlib
import select
import subprocess

from support.interpreters import INTERPRETERS, READER, VERSIONS  # noqa: F401

PATIENCE = 60  # seconds for one reply; normally it takes milliseconds


class Died(Exception):
    """A worker ended or does not answer; the text is its standard error."""


class Worker:
    """One interpreter in one role (see `worker`)."""

    def __init__(self, version, role, package, errors):
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("EPCACHE", "PYTHON"))
        }
        self.name = f"{role} {version}"
        self.errors = errors
        script = pathlib.Path(__file__).with_name("worker.py")
        self.process = subprocess.Popen(
            [INTERPRETERS[version], "-S", "-E", "-B", script, role, package],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            env=variables,
        )
        self.unread = b""
        self.read_reply()

    def request(self, **request):
        """Send a request and wait for its reply."""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise Died(self.standard_error()) from None
        return self.read_reply()

    def read_reply(self):
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            read = os.read(self.process.stdout.fileno(), 1 << 20) if ready else b""
            if not read:
                raise Died(self.standard_error())
            self.unread += read
        line, _, self.unread = self.unread.partition(b"\n")
        reply = json.loads(line)
        if isinstance(reply, dict) and reply.get("ended"):
            raise Died(self.standard_error())
        return reply

    def standard_error(self):
        self.process.kill()
        self.process.wait()
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 3000))
        return f"{self.name}: no answer\n" + self.errors.read().decode(errors="replace")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()  # or it waits for ever if it is writing a long reply
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Workers:
    """The workers started so far, by version and role."""

    def __init__(self, package, errors):
        self.package = str(package)
        self.errors = errors
        self.running = {}

    def get(self, version, role):
        worker = self.running.get((version, role))
        if worker is None or worker.process.poll() is not None:
            worker = self.running[version, role] = Worker(version, role, self.package, self.errors)
        return worker

    def close(self):
        for worker in self.running.values():
            worker.close()
