"""Tries many faults, each in a scene of its own, in several processes; checks what must hold after each."""

import concurrent.futures
import ctypes
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from support.checkout import CHECKOUT, release_program

from . import answer_check, fault_injection, machine, scenes

# The exit statuses of a command (docs/reference/commands.md).
DONE = 0
FAILED = 3
KILLED = -signal.SIGKILL
PR_SET_PDEATHSIG = 1


class Wrong(Exception):
    """A condition that must hold does not."""


class Worker:
    """One process with a machine of its own."""

    def __init__(self, directory):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=directory))
        self.directory.chmod(0o755)
        machine.begin(self.directory / "machine")
        self.logs = self.directory / "logs"
        self.logs.mkdir()
        self.logs.chmod(0o777)
        self.answer_check = answer_check.AnswerCheck()
        self.made = 0

    def scene(self, kind, old):
        self.made += 1
        return kind(self.directory / f"{self.made:06}", old)

    def points(self, kind, old):
        scene = self.scene(kind, old)
        found = list(fault_injection.points(scene, self.logs))
        (self.logs / "recorded").unlink()
        scene.remove()
        return found

    def tried(self, kind, old, point, fault):
        """The problem after one fault, if any; None if the call was not made this time."""
        scene = self.scene(kind, old)
        try:
            outcome = fault_injection.run_with_fault(scene, point, fault, self.logs)
            if not outcome.hits:
                return None
            self.examine(scene, point, fault, outcome)
            return []
        except (Wrong, AssertionError) as error:
            return [f"{kind.__name__}, {'an old index' if old else 'no index'}, {fault}: {point}\n  {error}"]
        finally:
            for log in self.logs.iterdir():
                log.unlink()
            scene.remove()

    def examine(self, scene, point, fault, outcome):
        self.examine_status(scene, point, fault, outcome)
        if scene.caller and outcome.status != DONE:
            CALLERS[scene.caller](scene, outcome.status)
        self.examine_answers(scene, "after the fault", outcome.output)
        if outcome.status == DONE and not scene.caller:
            self.examine_state(scene, "although the command succeeded")
        found = scene.files()
        again = scene.run()
        if again.returncode != DONE:
            raise Wrong(f"the next run does not end well: {again}")
        if scene.files() != found:
            self.examine_answers(scene, "after the next run", again.stdout + again.stderr)
        self.examine_state(scene, "after the next run")
        self.examine_content(scene)
        if scene.leftovers():
            raise Wrong(f"left for ever: {scene.leftovers()}")

    def examine_status(self, scene, point, fault, outcome):
        # Cleaning up after the killed child can make the same call.
        killed = fault == "KILL" and (outcome.hits > 1 or not point.process)
        if killed:
            allowed = {KILLED}
        elif not point.begun:
            return  # the loader's choice
        elif scene.caller:
            allowed = {DONE}
        else:
            allowed = {DONE, FAILED}
            if outcome.status == FAILED and "error: " not in outcome.output:
                raise Wrong(f"status {FAILED} without a word: {outcome.output}")
        if outcome.status not in allowed:
            raise Wrong(f"exit status {outcome.status}: {outcome.output}")

    def examine_answers(self, scene, when, output):
        for site in scene.sites:
            wrong = self.answer_check.wrong(site)
            if wrong:
                raise Wrong(f"{site}, {when}: {wrong}\n  output: {output}")

    def examine_content(self, scene):
        """Whether the index equals the one that a full read would write."""
        verify = [release_program(), "verify", *map(str, scene.sites)]
        done = subprocess.run(verify, capture_output=True, text=True, env=machine.environment())
        if done.returncode != DONE:
            raise Wrong(f"not fixed: {done.stdout}{done.stderr}")

    def examine_state(self, scene, when):
        for site, (word, reason) in zip(scene.sites, answer_check.states(*scene.sites)):
            if word not in scene.states():
                raise Wrong(f"{site}, {when}: {word}: {reason}")


def rpm_goes_on(scene, status):
    """How the scriptlet of the package reacts when the trigger does not exit with 0."""
    spec = (CHECKOUT / "rpm/epcache.spec").read_text()
    discard = re.search(r"^%global discard (.*)$", spec, re.MULTILINE).group(1)
    assert "/usr/bin/epcache trigger rpm || %{discard} || :" in spec
    subprocess.run(discard.replace("%{cachedir}", str(machine.CACHE)), shell=True, check=True)


def dpkg_goes_on(scene, status):
    """The same for dpkg: the maintainer script itself, with a program that exits like ours."""
    program = scene.directory / "usr/bin/epcache"
    scenes.put(program, f"#!/bin/sh\nexit {status % 256}\n")
    program.chmod(0o755)
    script = CHECKOUT / "debian/epcache.postinst"
    command = ["sh", script, "triggered", "/usr/lib/python3/dist-packages"]
    subprocess.run(command, check=True, env=scene.variables, capture_output=True)


CALLERS = {"rpm": rpm_goes_on, "dpkg": dpkg_goes_on}

_worker = None


def _begin(directory):
    global _worker
    # However the tests end, this process ends with them, and its mounts with it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _worker = Worker(directory)


def worker():
    """The worker of this process."""
    return _worker


def _points(kind, old):
    return _worker.points(kind, old)


def _try(kind, old, chosen, until):
    """Faults whose call was not made; the problems; the number of tries."""
    missed, wrong, tried = [], [], 0
    for point, fault in chosen:
        if time.time() > until:
            break
        found = _worker.tried(kind, old, point, fault)
        if found is None:
            missed.append((point, fault))
        else:
            tried += 1
            wrong += found
    return missed, wrong, tried


class Campaign:
    """The processes that try faults."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="faults-")
        os.chmod(self.directory, 0o755)
        # When all workers have ended, the other end of its pipe is closed.
        tidy = 'trap "" INT TERM HUP; cat >/dev/null; rm -rf "$1"'
        self.tidier = subprocess.Popen(["sh", "-c", tidy, "sh", self.directory], stdin=subprocess.PIPE)
        self.pool = concurrent.futures.ProcessPoolExecutor(
            os.cpu_count(), multiprocessing.get_context("fork"), _begin, (self.directory,)
        )

    def close(self):
        self.pool.shutdown(cancel_futures=True)
        self.tidier.stdin.close()
        self.tidier.wait(60)

    def call(self, function, *arguments):
        """Call a function in one of the processes."""
        return self.pool.submit(function, *arguments).result()

    def points(self, kind, old):
        return self.pool.submit(_points, kind, old).result()

    def run(self, kind, old, chosen, until=float("inf")):
        """Try them all. Some are tried again if the call was not made, which depends on timing."""
        wrong, tried = [], 0
        for _ in range(3):
            missed = []
            batches = [chosen[start : start + 20] for start in range(0, len(chosen), 20)]
            jobs = [self.pool.submit(_try, kind, old, batch, until) for batch in batches]
            for job in jobs:
                again, found, count = job.result()
                missed += again
                wrong += found
                tried += count
            chosen = missed
        return missed, wrong, tried
