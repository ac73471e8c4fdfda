"""Random interleavings of installers, the tool and readers, on many file systems.

    PYTHONPATH=tests python -m system.freshness --count 50000
    PYTHONPATH=tests python -m system.freshness --on ext3 --only 4711

Exit status 1 when an answer was wrong: the history is shrunk and printed. See
docs/internals/reliability.md. Needs root, to mount.
"""

import argparse
import collections
import heapq
import itertools
import json
import multiprocessing
import os
import pathlib
import sys
import tempfile
import time
import traceback

from support.checkout import CHECKOUT, release_program

from . import filesystems, interrupted, player, readers, rivals, settling, shortest, stepping, table
from .author import a_history

AT_ONCE = 40  # histories, so that others continue while one waits
# The share of all reads that each file system gets; those in Python are slow.
SHARES = {
    "fuse-slow": 0.0005,
    "ext3": 0.11,
    "fuse": 0.005,
    "fuse-2s": 0.006,
    "fuse-zero": 0.004,
    "fuse-nfs": 0.006,
    "overlay": 0.14,
    "ext4": 0.19,
    "xfs": 0.18,
    "btrfs": 0.15,
    "tmpfs": 0.2,
    "vfat": 0.1,
}


def arguments():
    parser = argparse.ArgumentParser(prog="freshness", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--count", type=int, default=50000, help="how many checked reads, over all file systems"
    )
    parser.add_argument("--seconds", type=float, default=3600, help="begin no history later than that")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; they count up from there")
    parser.add_argument("--on", action="append", choices=list(SHARES), help="on these file systems alone")
    parser.add_argument("--only", type=int, help="the history of this seed alone")
    parser.add_argument(
        "--interrupted", action="store_true", help="one installation each, indexed before every of its calls"
    )
    parser.add_argument("--replay", type=pathlib.Path, nargs="+", help="histories from files")
    parser.add_argument("--keep", type=pathlib.Path, help="write histories that failed into this directory")
    parser.add_argument("--shrink", type=float, default=60, help="seconds to shorten each; 0 for not at all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument(
        "--package", type=pathlib.Path, default=readers.PACKAGE, help="what holds the package"
    )
    parser.add_argument("--stevedore", type=pathlib.Path, default=CHECKOUT / ".cache" / "stevedore")
    parser.add_argument("--table", type=pathlib.Path, help="write the table into this document")
    parser.add_argument("--epcache", default=release_program(), help="the binary")
    given = parser.parse_args()
    given.epcache = os.path.abspath(given.epcache)
    if not os.access(given.epcache, os.X_OK):
        parser.error(f"{given.epcache}: no such program; run `make build`, or set EPCACHE_BIN")
    if os.geteuid() != 0:
        parser.error("needs root, to mount file systems")
    return given


class Job:
    """The histories on one file system, in a process of its own."""

    def __init__(self, given, filesystem, directory):
        self.given = given
        self.filesystem = filesystem
        self.counted = collections.Counter()
        self.rooms = itertools.count()
        readers.use(given.package)
        stepping.listen()
        self.rivals = {"mtime": rivals.ByModificationTime()}
        if given.stevedore.is_dir():
            cache = os.path.join(directory, f"stevedore-{filesystem.name}")
            self.rivals["stevedore"] = rivals.Stevedore(given.stevedore, cache)

    def play(self, history, counted=None):
        room = f"{next(self.rooms)}"
        counted = self.counted if counted is None else counted
        return player.Play(history, self.filesystem, room, self.given.epcache, self.rivals, counted).play()

    def run(self, histories, enough):
        """Play histories concurrently until there are enough reads; the first wrong answer, or None."""
        waiting = []
        at_once = max(1, min(AT_ONCE, enough // 500))
        order = itertools.count()
        histories = iter(histories)
        more = True
        while more or waiting:
            if more and len(waiting) < at_once:
                history = next(histories, None)
                late = time.monotonic() > self.given.end
                if history is None or late or self.counted["reads"] >= enough:
                    more = False
                    continue
                playing = self.play(history)
            else:
                due, _, playing = heapq.heappop(waiting)
                time.sleep(max(0, due - time.monotonic()))
            try:
                heapq.heappush(waiting, (time.monotonic() + next(playing), next(order), playing))
            except StopIteration:
                self.counted["histories"] += 1
            except player.Wrong as found:
                for _, _, other in waiting:
                    other.close()
                return found
        return None

    def fails(self, history):
        """The wrong answer of this history alone, if any; races have three tries."""
        for _ in range(3):
            try:
                for seconds in self.play(history, collections.Counter()):
                    time.sleep(seconds)
            except player.Wrong as found:
                return found
            except Exception:
                return None
            if not any(step[0] == "tool" and step[2] is not None for step in history["steps"]):
                break
        return None


def work(given, filesystem, directory, histories, enough, results):
    """The work of a process for one file system."""
    try:
        job = Job(given, filesystem, directory)
        found = job.run(histories, enough)
        text = history = None
        if found is not None:
            job.counted["wrong"] += 1
            text, history = player.described(found), found.history
            if given.shrink:
                history = shortest.shortest(history, job.fails, given.shrink)
                text = player.described(job.fails(history) or found)
        results.put((filesystem.name, job.counted, text, history))
    except BaseException:
        results.put((filesystem.name, collections.Counter(wrong=1), traceback.format_exc(), None))
    sys.stdout.flush()
    os._exit(0)  # threads of unfinished operations still sleep


def histories_of(given, name):
    if given.replay:
        found = (json.loads(path.read_text()) for path in given.replay)
        return [history for history in found if history["filesystem"] == name]
    if given.interrupted:
        return interrupted.histories(name, given.seed)
    if given.only is not None:
        return [a_history(given.only, name)]
    return (a_history(seed, name) for seed in itertools.count(given.seed))


def main():
    given = arguments()
    began = time.monotonic()
    given.end = began + given.seconds
    directory = tempfile.mkdtemp(prefix="freshness-")
    filesystems.begin(directory)
    os.chmod(directory, 0o755)  # the trigger works as another user
    wanted = given.on or list(SHARES)
    if given.replay:
        wanted = sorted({json.loads(path.read_text())["filesystem"] for path in given.replay})
    mounted, measured = {}, {}
    for name in wanted:
        try:
            mounted[name] = filesystems.mounted(name, directory)
        except filesystems.Unavailable as why:
            print(f"{filesystems.TITLES[name]}: not on this machine: {why}", flush=True)
            continue
        if given.only is None and not given.replay and not given.interrupted:
            measured[name] = settling.measured(mounted[name], given.epcache)
    whole = sum(SHARES[name] for name in mounted)
    results = multiprocessing.get_context("fork").SimpleQueue()
    left = list(mounted)
    running = {}
    done = {}
    failed = 0
    while left or running:
        while left and len(running) < given.jobs:
            name = left.pop(0)
            enough = given.count * SHARES[name] / whole
            process = multiprocessing.get_context("fork").Process(
                target=work,
                args=(given, mounted[name], directory, histories_of(given, name), enough, results),
            )
            process.start()
            running[name] = process
        name, counted, text, history = results.get()
        running.pop(name).join()
        done[name] = counted
        print(f"{filesystems.TITLES[name]}: {dict(sorted(counted.items()))}", flush=True)
        if text:
            failed += 1
            print(text, flush=True)
            if given.keep and history:
                given.keep.mkdir(parents=True, exist_ok=True)
                path = given.keep / f"{name}-{history['seed']}.json"
                path.write_text(json.dumps(history, indent=1) + "\n")
                print(f"kept as {path}")
    for name, (granule, wait) in measured.items():
        if wait * 1e9 > (granule or 0) + settling.ALLOWED:
            failed += 1
            print(f"{filesystems.TITLES[name]}: a trigger waited {wait * 1e3:.1f} ms")
    if measured:
        lines = table.table({name: (*measured[name], done[name]) for name in SHARES if name in measured})
        print("\n".join(lines))
        if given.table and not failed:
            table.write(given.table, lines)
    for filesystem in mounted.values():
        filesystem.unmount()
    filesystems.end(directory)
    reads = sum(counted["reads"] for counted in done.values())
    print(f"{reads} reads checked in {time.monotonic() - began:.0f} s, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
