"""Playing a history: the edits are made, the questions asked, the answers compared."""

import json
import os
import shutil

from processes import Died
from world import SYSTEM_USER, World


class Difference(Exception):
    """Two interpreters do not say the same."""

    def __init__(self, history, step, role, question, expected, got):
        super().__init__(
            f"seed {history['seed']}, Python {history['python']}, step {step}: {role}: {question}"
        )
        self.history = history
        self.step = step
        self.role = role
        self.question = question
        self.expected = expected
        self.got = got


def oracle(version, role):
    """Which interpreter knows what is right: `epcache` itself answers as 3.12 does, on any version."""
    return "3.12" if role == "own" and version in ("3.9", "3.10", "3.11") else version


class Play:
    """One history: made (`prepare`), then, when its first stamps have grown old, played."""

    def __init__(self, history, directory, epcache, workers, roles, kinds=None):
        self.history = history
        self.directory = directory
        self.epcache = epcache
        self.roles = [(role, oracle(history["python"], role)) for role in roles]
        self.workers = workers
        self.kinds = kinds
        self.step = 0
        self.asked = 0

    def prepare(self):
        """The site directories, and what was installed long before the history begins."""
        os.makedirs(self.directory)
        self.world = World(os.path.realpath(self.directory), self.epcache, self.history["sites"])
        for step in self.history["initial"]:
            for _ in self.world.edit(step):
                pass
        return self

    def play(self):
        """Raise the first `Difference`."""
        version = self.history["python"]
        subjects = [(role, self.workers.get(version, role), plain) for role, plain in self.roles]
        plains = {plain: self.workers.get(plain, "plain") for _, plain in self.roles}
        self.subjects = [(role, worker, plains[plain]) for role, worker, plain in subjects]
        self.everybody = [worker for _, worker, _ in subjects] + list(plains.values())
        world = self.world
        try:
            self.tell(
                do="begin",
                root=world.root,
                strict=self.history["strict"],
                user_cache=world.user_cache,
                system_cache=world.system_cache,
                system_user=SYSTEM_USER,
            )
            self.tell(do="path", entries=[], stdlib="last")
            for number, step in enumerate(self.history["steps"]):
                self.step = number
                getattr(self, step["do"])(step)
            self.tell(do="end")
        except Difference:
            self.tell(do="end")
            raise
        except Died as error:
            self.abandon()
            raise Difference(self.history, self.step, "a worker", [], "an answer", str(error)) from None
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def abandon(self):
        for worker in self.everybody:
            if worker.process.poll() is None:
                worker.close()

    def tell(self, **request):
        for worker in self.everybody:
            worker.say(**request)

    def edit(self, step):
        if step["site"] not in self.world.sites:
            return
        site = step["site"]
        killed = step.get("killed")
        for number, _ in enumerate(self.world.edit(step), 1):
            if number == step.get("refreshed") and self.world.sites[site] == "own":
                self.world.index({"by": "refresh", "site": site})
            if str(number) in step.get("pauses", {}) and (
                self.history["strict"] or not self.world.provable(site)
            ):
                self.compare(step["pauses"][str(number)])
            if killed and number >= killed and (self.history["strict"] or not self.world.provable(site)):
                return

    def index(self, step):
        if step["site"] in self.world.sites:
            self.world.index(step)

    def move(self, step):
        if step["site"] in self.world.sites:
            self.world.move(step)

    def zip(self, step):
        self.world.zip(step)

    def egg(self, step):
        self.world.egg(step)

    def path(self, step):
        entries = [self.world.spelled(entry) for entry in step["entries"]]
        self.tell(do="path", entries=entries, stdlib=step["stdlib"])

    def chdir(self, step):
        to = self.world.spelled(step["to"])
        if os.path.isdir(to):
            self.tell(do="chdir", to=to)

    def finder(self, step):
        if step["site"] in self.world.sites:
            self.tell(do="finder", directory=self.world.site(step["site"]), first=step["first"])

    def keep(self, _step):
        self.tell(do="keep")

    def ask(self, step):
        self.compare(step["questions"])

    def compare(self, questions):
        if self.kinds:
            questions = [question for question in questions if question[0] in self.kinds]
        known = {}
        for role, worker, plain in self.subjects:
            native = role != "own"
            if (plain, native) not in known:
                known[plain, native] = plain.say(do="ask", questions=questions, native=native)["answers"]
            reply = worker.say(do="ask", questions=questions, native=native)
            for question, expected, got in zip(questions, known[plain, native], reply["answers"]):
                self.asked += 1
                if expected != got:
                    raise Difference(self.history, self.step, role, question, expected, got)
            if native and reply["warned"]:
                raise Difference(self.history, self.step, role, questions, [], reply["warned"])


def described(found):
    """A difference as people read it."""
    lines = [str(found), f"expected: {json.dumps(found.expected)}", f"got:      {json.dumps(found.got)}"]
    return "\n".join(line if len(line) < 6000 else line[:6000] + " ..." for line in lines)
