"""Compares the readers' answers about a site directory with plain `importlib.metadata`.

The Python reader is queried in a fork of a long-lived process, so that no answer is remembered for the
next query. `epcache list` and `epcache status` are run as programs.
"""

import json
import pathlib
import subprocess

from support.checkout import release_program
from support.interpreters import INTERPRETERS, READER

from . import machine


class AnswerCheck:
    """A process that reads site directories on request."""

    def __init__(self, version="3.13"):
        script = pathlib.Path(__file__).with_name("answer_check_process.py")
        self.process = subprocess.Popen(
            [INTERPRETERS[version], "-S", "-E", "-B", script, READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=machine.environment(XDG_CACHE_HOME="/nonexistent"),
        )

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)

    def answers(self, site):
        """The answers of both about `site`: ``ours``, ``expected``, and ``warned``."""
        self.process.stdin.write(json.dumps(str(site)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the answering process has ended"
        return json.loads(line)

    def wrong(self, site):
        """The problem with the answers of any reader; None if there is none."""
        found = self.answers(site)
        if found["ours"] != found["expected"]:
            return {
                "python": found["ours"],
                "importlib.metadata": found["expected"],
                "warned": found["warned"],
            }
        return self.wrong_list(site, found["expected"]["entry_points"])

    def wrong_list(self, site, expected):
        """The problem with the output of `epcache list`; None if there is none."""
        listed_rows = run_json("list", "--json", "--site", site)
        listed = sorted([row["group"], row["name"], row["value"]] for row in listed_rows)
        if listed != expected:
            return {"epcache list": listed, "importlib.metadata": expected}
        return None


def states(*sites):
    """For each of `sites` the state that `epcache status` prints, and its reason."""
    return [(row["state"], row["reason"]) for row in run_json("status", "--json", *sites)]


def run_json(*arguments, **variables):
    command = [release_program(), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=machine.environment(**variables), timeout=60
    )
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stdout}{done.stderr}") from None
