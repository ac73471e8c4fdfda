"""Plays a history: makes the edits, asks the questions, compares the answers."""

import json
import os
import shutil

from support.simulation.world import SYSTEM_USER, World

from .processes import Died

LONGEST = 3000  # characters of a line of a report


class Difference(Exception):
    """Two interpreters give different answers."""

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


# Answered by `epcache` itself, with the semantics of 3.12. Everything else is the running version's.
OWN_SEMANTICS = ["entry_points", "groups_and_names", "version"]


def oracle(version, role, kind):
    """The interpreter whose answer is correct."""
    return "3.12" if role == "own" and version == "3.9" and kind in OWN_SEMANTICS else version


def oracles(version, role):
    return {oracle(version, role, kind) for kind in ("entry_points", "files")}


def same(version, role, question, expected, got):
    """Whether two answers agree as far as required."""
    if role == "own" and version == "3.9":
        if question[0] == "packages_distributions":
            return got == {"raised": "NotImplementedError"}
        # 3.9 keeps the indentation of a folded value.
        return unfolded(expected) == unfolded(got)
    return expected == got


def unfolded(answer):
    return json.dumps(answer).replace("\\n ", "\\n")


class Play:
    """One history: created (`prepare`), then played when its first stamps are old enough."""

    def __init__(self, history, directory, epcache, workers, roles, kinds=None):
        self.history = history
        self.directory = directory
        self.epcache = epcache
        self.roles = roles
        self.workers = workers
        self.kinds = kinds
        self.step = 0
        self.asked = 0

    def prepare(self):
        """Create the site directories and the initial distributions."""
        os.makedirs(self.directory)
        self.world = World(os.path.realpath(self.directory), self.epcache, self.history["sites"])
        for step in self.history["initial"]:
            for _ in self.world.edit(step):
                pass
        return self

    def play(self):
        """Raise the first `Difference`."""
        version = self.history["python"]
        self.subjects = [(role, self.workers.get(version, role)) for role in self.roles]
        needed = sorted(set().union(*(oracles(version, role) for role in self.roles)))
        self.plain = {plain: self.workers.get(plain, "plain") for plain in needed}
        self.everybody = [worker for _, worker in self.subjects] + list(self.plain.values())
        world = self.world
        try:
            self.send(
                do="begin",
                root=world.root,
                strict=self.history["strict"],
                user_cache=world.user_cache,
                system_cache=world.system_cache,
                system_user=SYSTEM_USER,
            )
            self.send(do="path", entries=[], stdlib="last")
            for number, step in enumerate(self.history["steps"]):
                self.step = number
                getattr(self, step["do"])(step)
            self.send(do="end")
        except Difference:
            self.send(do="end")
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

    def send(self, **request):
        for worker in self.everybody:
            worker.request(**request)

    def edit(self, step):
        if step["site"] not in self.world.sites:
            return
        try:
            self.edit_step_by_step(step)
        except OSError:
            # An installer that fails because of an earlier manual edit stops there.
            if not self.history["strict"]:
                raise

    def edit_step_by_step(self, step):
        site = step["site"]
        killed = step.get("killed")
        for number, _ in enumerate(self.world.edit(step), 1):
            if number == step.get("refreshed") and self.world.sites[site] == "own":
                self.world.index({"by": "refresh", "site": site})
            questions = step.get("pauses", {}).get(str(number), [])
            if not self.history["strict"]:
                # Files may disappear from directories before anything else changes.
                questions = [question for question in questions if question != ["packages_distributions"]]
                if self.world.provable(site):
                    questions = []
            if questions:
                self.compare(questions)
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
        self.send(do="path", entries=entries, stdlib=step["stdlib"])

    def chdir(self, step):
        to = self.world.spelled(step["to"])
        if os.path.isdir(to):
            self.send(do="chdir", to=to)

    def finder(self, step):
        if step["site"] in self.world.sites:
            self.send(do="finder", directory=self.world.site(step["site"]), first=step["first"])

    def keep(self, _step):
        self.send(do="keep")

    def ask(self, step):
        self.compare(step["questions"])

    def compare(self, questions):
        if self.kinds:
            questions = [question for question in questions if question[0] in self.kinds]
        for role, worker in self.subjects:
            native = role != "own"
            reply = worker.request(do="ask", questions=questions, native=native)
            right = self.right(questions, role, native)
            for question, expected, got in zip(questions, right, reply["answers"]):
                self.asked += 1
                if not same(self.history["python"], role, question, expected, got):
                    raise Difference(self.history, self.step, role, question, expected, got)
            if native and reply["warned"]:
                raise Difference(self.history, self.step, role, questions, [], reply["warned"])

    def right(self, questions, role, native):
        """The correct answers."""
        knows = [oracle(self.history["python"], role, question[0]) for question in questions]
        known = {
            plain: iter(
                self.plain[plain].request(
                    do="ask",
                    native=native,
                    questions=[question for question, who in zip(questions, knows) if who == plain],
                )["answers"]
            )
            for plain in set(knows)
        }
        return [next(known[plain]) for plain in knows]


def described(found):
    """A difference as readable text, with the steps that lead to it."""
    history = found.history
    lines = [str(found), f"expected: {json.dumps(found.expected)}", f"got:      {json.dumps(found.got)}"]
    lines.append(f"proof: {'strict' if history['strict'] else 'site'}; site directories: {history['sites']}")
    lines += [f"  at first: {json.dumps(step)}" for step in history["initial"]]
    lines += [
        f"  {number}: {json.dumps(step)}" for number, step in enumerate(history["steps"][: found.step + 1])
    ]
    return "\n".join(line if len(line) < LONGEST else line[:LONGEST] + " ..." for line in lines)
