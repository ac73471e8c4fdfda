"""Plays a history: compares every answer of every reader with the content of the disk meanwhile."""

import os
import re
import sys
import threading
import time

from support.simulation.world import SYSTEM_USER

from . import moments, operations, stepping
from .readers import Reader
from .stage import Stage

AGE = 3.1  # seconds after which stamps no longer count as young
STDLIB = os.path.dirname(os.__file__)
SLACK = 0.1  # seconds beyond the time for which the kernel may cache attributes


class Wrong(Exception):
    """An answer that `importlib.metadata` could not have given."""

    def __init__(self, history, place, question, answer, window):
        super().__init__(f"seed {history['seed']} on {history['filesystem']}, step {place}: {question}")
        self.history = history
        self.place = place
        self.question = question
        self.answer = answer
        self.possible = [window.moments[number] for number in range(window.begin, len(window.moments))]
        self.earlier = {
            directory: [found.get(directory) for found in window.of(directory)] for directory in window.begins
        }


class Play:
    """One history on a mounted file system; `counted` takes the counters."""

    def __init__(self, history, filesystem, room, epcache, rivals, counted):
        self.history = history
        self.filesystem = filesystem
        self.room = room
        self.epcache = epcache
        self.rivals = rivals
        self.counted = counted
        self.place = 0
        self.group_reads = 0
        self.entered = False
        self.scanned = False  # whether the disk is unchanged since the last scan
        self.readers = []
        self.running = {}
        self.done = set()
        self.killed = set()
        self.unseen = {}  # operations that the site proof need not see yet: since when, which distribution
        self.moments = []
        self.times = []

    # --- life cycle ---

    def play(self):
        """A generator of the seconds after which to continue."""
        try:
            self.begin()
            for place, step in enumerate(self.history["steps"]):
                self.place = place
                if step[0] == "age":
                    self.leave()
                    yield AGE
                    self.enter()
                elif step[0] == "tool":
                    for seconds in self.tool(*step[1:]):
                        self.leave()
                        yield seconds
                        self.enter()
                else:
                    self.do(step)
            for number in list(self.running):
                self.go(number, None)
            self.read(0, ["distributions"], {})
        finally:
            self.end()

    def begin(self):
        kept = self.history["kept"]

        def prepare(root):
            site = os.path.join(root, "s", "a")
            os.makedirs(site)
            for edit in self.history["initial"]:
                for _ in self.generator(site, edit):
                    pass

        self.root = self.filesystem.make_room(self.room, prepare)
        self.stage = Stage(self.root, self.epcache, {"a": kept})
        self.site = self.stage.site("a")
        self.path = [STDLIB, self.site]
        self.enter()
        self.readers = [
            Reader(proof == "strict", self.stage.system_cache, SYSTEM_USER)
            for proof in self.history["readers"]
        ]
        self.scan()

    def enter(self):
        self.entered = True
        self.before = sys.path[:], os.environ.get("XDG_CACHE_HOME")
        sys.path[:] = self.path
        os.environ["XDG_CACHE_HOME"] = self.stage.user_cache

    def leave(self):
        self.entered = False
        sys.path[:], cache = self.before
        os.environ.pop("XDG_CACHE_HOME")
        if cache is not None:
            os.environ["XDG_CACHE_HOME"] = cache

    def end(self):
        for operation in self.running.values():
            operation.kill()
        for reader in self.readers:
            reader.end()
        if self.entered:
            self.leave()
        self.filesystem.leave_room(self.room)

    # --- steps ---

    def do(self, step):
        getattr(self, step[0])(*step[1:])

    def do_all(self, steps):
        for step in steps:
            self.do(step)

    def generator(self, site, edit):
        how = edit["how"]
        what = {name: value for name, value in edit.items() if name not in ("how", "elsewhere")}
        if how == "copied_cp":
            how, what["by"] = "copied", "cp"
        return operations.function_of(how)(site, cache=os.path.join(os.path.dirname(site), "uv"), **what)

    def operation(self, number):
        edit = self.history["operations"][number]
        site = self.elsewhere(self.site) if edit.get("elsewhere") else self.site

        def work():
            for _ in self.generator(site, edit):
                pass

        return stepping.Operation(work)

    def elsewhere(self, path):
        """Where another machine, or the kernel below an overlay, has a path."""
        return self.filesystem.behind_of(path)

    def go(self, number, calls):
        operation = self.running.get(number)
        if operation is None:
            if number in self.done:
                return
            self.scan()
            self.unseen[number] = len(self.moments) - 1, self.touched(number)
            operation = self.running[number] = self.operation(number)
        operation.advance(calls)
        self.counted["calls"] += calls or 1
        if operation.over:
            self.ended(number)
        self.scanned = False

    def ended(self, number):
        self.done.add(number)
        del self.running[number]
        # A package manager has not finished before its trigger has run.
        if self.history["kept"] == "own" and number not in self.killed:
            self.unseen.pop(number, None)

    def kill(self, number):
        operation = self.running.get(number)
        if operation is not None:
            self.killed.add(number)
            operation.kill()
            self.ended(number)
            self.scanned = False

    def touched(self, number):
        edit = self.history["operations"][number]
        names = {edit[name]["directory"] for name in ("distribution", "new", "old") if edit.get(name)}
        # pip deletes its stash file by file, before the removal of the directory is visible.
        return names | {first + name[1:] for name in names for first in "~-.=%0"}

    def tool(self, by, after, steps):
        finished = [number for number in self.unseen if number not in self.running]
        self.scan()
        meanwhile = (lambda: self.do_all(steps)) if after is not None else None
        yield from self.stage.played(by, "a", after, meanwhile)
        self.scanned = False
        self.scan()
        self.counted["tool"] += 1
        for number in finished:
            self.unseen.pop(number, None)

    def clock(self, seconds):
        self.filesystem.set(shift=seconds * 10**9)

    def below(self, number):
        if self.running:
            return

        def change(root):
            site = os.path.join(root, "s", "a")
            if os.path.isdir(site) and not os.path.islink(site):
                try:
                    for _ in self.generator(site, self.history["operations"][number]):
                        pass
                except OSError:
                    pass

        self.counted["remounts"] += self.filesystem.change_below(self.room, change)
        self.scanned = False

    # --- questions ---

    def scan(self):
        """Record the current content of the disk."""
        if self.scanned:
            return
        with stepping.during(None):
            found = moments.moment(self.elsewhere(self.site) if self.filesystem.remembers else self.site)
        if not self.moments or list(found.items()) != list(self.moments[-1].items()):
            self.moments.append(found)
            self.times.append(time.monotonic())
        self.scanned = True

    def begin_of_window(self):
        self.scan()
        begin = len(self.moments) - 1
        if self.filesystem.remembers:
            # Attributes cached by the kernel are valid for their whole lifetime.
            since = time.monotonic() - self.filesystem.remembers - SLACK
            while begin > 0 and self.times[begin] > since:
                begin -= 1
        return begin

    def read(self, number, question, overlap, stale=0):
        begin = self.begin_of_window()
        seen = len(self.moments)
        strict = self.history["readers"][number] == "strict"
        begins = {}
        for since, directories in () if strict else self.unseen.values():
            for directory in directories:
                begins[directory] = min(since, begins.get(directory, since))
        happening = {int(call): (lambda steps=steps: self.happen(steps)) for call, steps in overlap.items()}
        if stale:
            self.filesystem.set(stale=stale, stale_for=threading.get_native_id())
        answer = self.readers[number].ask(question, happening)
        if stale:
            self.filesystem.set(stale=0)
        self.scan()
        window = moments.Window(self.moments, begin, begins, also_absent=bool(stale))
        self.counted["reads"] += 1
        self.counted[f"reads {self.history['readers'][number]}"] += 1
        if len(self.moments) > seen:
            self.counted["overlapping"] += 1
        if not window.allows(question, answer) and not self.shown_here(question, answer):
            raise Wrong(self.history, self.place, question, answer, window)
        if question[0] == "entry_points" and question[1] and not overlap and not stale:
            self.group_reads += 1
            if self.group_reads % 4 == 0:
                self.ask_rivals(question, window)

    def shown_here(self, question, answer):
        """Whether the kernel's cache shows just that answer.

        A name given to another file elsewhere still leads to the old file, which a program here may even
        have written to meanwhile: that was never on the disk under this name. This is checked last, since
        the check changes the cache.
        """
        if not self.filesystem.remembers:
            return False
        self.counted["shown here alone"] += 1
        with stepping.during(None):
            here = moments.Window([moments.moment(self.site)], 0, {})
        return here.allows(question, answer)

    def happen(self, steps):
        """Run steps in the middle of a read."""
        for step in steps:
            self.do(step)
            self.scan()

    def stale(self, number, question, requests):
        self.read(number, question, {}, stale=requests)

    def ask_rivals(self, question, window):
        for name, rival in self.rivals.items():
            self.counted[f"{name} asked"] += 1
            try:
                answer = rival.ask(self.path, question[1])
            except TypeError:
                answer = ["raised", "TypeError"]
            except (OSError, ValueError) as error:
                answer = [repr(error)]
            if not window.allows(question, answer):
                self.counted[f"{name} wrong"] += 1


def described(found):
    """A wrong answer as readable text, with the history that leads to it."""
    lines = [str(found), f"answer:   {found.answer}"]
    for moment in found.possible:
        lines.append("possible: " + "; ".join(f"{name}: {tuple(what)}" for name, what in moment.items()))
    for directory, what in found.earlier.items():
        lines.append(f"also:     {directory}: {[value and tuple(value) for value in what]}")
    lines.append(f"kept: {found.history['kept']}; readers: {found.history['readers']}")
    lines += [f"  at first: {edit}" for edit in found.history["initial"]]
    used = set(map(int, re.findall(r"\['(?:go|kill)', (\d+)", str(found.history["steps"]))))
    used |= {step[1] for step in found.history["steps"] if step[0] == "below"}
    lines += [f"  operation {n}: {what}" for n, what in enumerate(found.history["operations"]) if n in used]
    lines += [f"  {place}: {step}" for place, step in enumerate(found.history["steps"][: found.place + 1])]
    return "\n".join(line[:2000] for line in lines)
