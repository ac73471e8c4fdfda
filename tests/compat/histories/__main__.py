"""Random histories of site directories, with queries to `epcache` and to plain `importlib.metadata`.

    PYTHONPATH=tests python -m compat.histories --count 5000
    PYTHONPATH=tests python -m compat.histories --only 4711

Exit status 1 when an answer differed: the seed, the shortest history found and both answers are
printed. See docs/internals/testing.md.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from support.checkout import release_program

from .generate import a_history
from .play import Difference, Play, described
from .processes import PATIENCE, READER, VERSIONS, Workers
from .shrink import AGE, shrunk

BATCH = 60
ROLES = ["own", "accelerated"]


def arguments():
    parser = argparse.ArgumentParser(prog="histories", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=5000, help="how many histories")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; they count up from there")
    parser.add_argument("--only", type=int, help="this seed alone")
    parser.add_argument(
        "--replay", type=pathlib.Path, nargs="+", help="histories from files instead of seeds"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--python", choices=VERSIONS, help="all with this version, instead of all in turn")
    parser.add_argument("--proof", choices=["site", "strict"], help="one of the two modes, instead of both")
    parser.add_argument(
        "--role", choices=[*ROLES, "itself"], action="append", help="instead of: own and accelerated"
    )
    parser.add_argument("--kind", action="append", help="compare the answers to these questions alone")
    parser.add_argument(
        "--package", type=pathlib.Path, default=READER, help="the directory that holds the package"
    )
    parser.add_argument("--failures", type=int, default=5, help="give up after so many differences")
    parser.add_argument("--shrink", type=float, default=60, help="seconds to shorten each; 0 for not at all")
    parser.add_argument(
        "--keep", type=pathlib.Path, help="write the histories that failed into this directory"
    )
    parser.add_argument(
        "--directory", help="where the site directories are made; half of them in /dev/shm if not given"
    )
    parser.add_argument("--epcache", default=release_program(), help="the binary")
    given = parser.parse_args()
    if not os.access(given.epcache, os.X_OK):
        parser.error(f"{given.epcache}: no such program; run `make build`, or set EPCACHE_BIN")
    return given


class Job:
    """Every `given.jobs`-th history, in one process."""

    def __init__(self, given, number, results):
        self.given = given
        self.results = results
        base = given.directory
        if base is None and number % 2 and os.access("/dev/shm", os.W_OK):
            base = "/dev/shm"
        self.directory = tempfile.mkdtemp(prefix="histories-", dir=base)
        os.chmod(self.directory, 0o755)  # the trigger works as another user
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.workers = Workers(given.package.resolve(), self.errors)
        self.made = 0

    def run(self, histories):
        """Play histories; each batch is prepared while the one before it becomes old enough."""
        try:
            waiting = collections.deque()
            for batch in batches(histories):
                waiting.append(self.prepared(batch))
                if len(waiting) > 1:
                    self.play(waiting.popleft())
            while waiting:
                self.play(waiting.popleft())
        finally:
            self.workers.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def prepared(self, histories):
        return [self.play_of(history).prepare() for history in histories], time.monotonic()

    def play_of(self, history):
        self.made += 1
        directory = os.path.join(self.directory, str(self.made))
        return Play(
            history, directory, self.given.epcache, self.workers, self.given.role or ROLES, self.given.kind
        )

    def play(self, batch):
        plays, when = batch
        time.sleep(max(0, when + AGE - time.monotonic()))
        for play in plays:
            try:
                play.play()
            except Difference as found:
                self.results.put(("difference", self.report(found)))
            self.results.put(("asked", play.asked))

    def report(self, found):
        if self.given.shrink and found.question:
            shortest = shrunk(found.history, self.first_that_fails, self.given.shrink)
            found = self.difference_of(self.prepared([shortest])) or found
        if self.given.keep:
            self.given.keep.mkdir(parents=True, exist_ok=True)
            name = f"{found.history['seed']}-{found.history['python']}.json"
            (self.given.keep / name).write_text(json.dumps(found.history, indent=1))
        return described(found)

    def first_that_fails(self, histories):
        found = self.difference_of(self.prepared(histories))
        return found and found.history

    def difference_of(self, batch):
        plays, when = batch
        time.sleep(max(0, when + AGE - time.monotonic()))
        found = None
        for play in plays:
            if found is None:
                try:
                    play.play()
                except Difference as difference:
                    found = difference
                except (OSError, RuntimeError):
                    pass  # without the dropped step the history is invalid
            shutil.rmtree(play.directory, ignore_errors=True)
        return found


def batches(items):
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def histories(given, job):
    if given.replay:
        yield from (json.loads(path.read_text()) for path in given.replay[job :: given.jobs])
        return
    seeds = [given.only] if given.only is not None else range(given.seed, given.seed + given.count)
    for seed in seeds[job :: given.jobs]:
        yield a_history(seed, given.python or VERSIONS[seed % len(VERSIONS)], given.proof)


def end_in_order(*_):
    """On SIGTERM: exit without leaving files."""
    sys.exit(1)


def work(given, number, results):
    def end_early(*_):
        results.cancel_join_thread()  # nobody reads the remaining results
        end_in_order()

    signal.signal(signal.SIGTERM, end_early)
    try:
        Job(given, number, results).run(histories(given, number))
        results.put(("end", None))
    except Exception as error:
        results.put(("error", f"job {number}: {type(error).__name__}: {error}"))
        raise


def main():
    given = arguments()
    begun = time.monotonic()
    results = multiprocessing.Queue()
    jobs = [
        multiprocessing.Process(target=work, args=(given, number, results)) for number in range(given.jobs)
    ]
    signal.signal(signal.SIGTERM, end_in_order)
    played = asked = differences = ended = 0
    broken = False
    try:
        for job in jobs:
            job.start()
        while ended < len(jobs) and differences < given.failures and not broken:
            kind, what = results.get()
            if kind == "asked":
                played += 1
                asked += what
                if played % 1000 == 0:
                    seconds = time.monotonic() - begun
                    print(f"{played} histories, {asked} answers compared, {seconds:.0f} s", flush=True)
            elif kind == "end":
                ended += 1
            else:
                print(what, end="\n\n", flush=True)
                differences += kind == "difference"
                broken = kind == "error"
    finally:
        for job in jobs:
            if ended < len(jobs) and job.is_alive():
                job.terminate()
        for job in jobs:
            if job.pid:
                job.join(PATIENCE)
                job.kill()
    seconds = time.monotonic() - begun
    print(f"{played} histories, {asked} answers compared in {seconds:.0f} s: {differences} differences")
    return 1 if differences or broken or not asked else 0


if __name__ == "__main__":
    sys.exit(main())
