"""A process that answers the questions of histories: one message a line, one fork for a few histories.

Arguments: the role (``plain`` and ``itself``: `importlib.metadata` as it is; ``own``: the functions of `epcache`;
``accelerated``: `importlib.metadata` after `epcache.accelerate()`), and the directory that holds
the package `epcache`. So state kept between the questions of a history is that of a real process.
Some of it reaches the next history, which is about other directories.
"""

import gc
import importlib
import importlib.machinery
import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile
import warnings

USED = {
    "METADATA": "Metadata-Version: 2.1\nName: foo\nVersion: 1\nRequires-Dist: bar\n",
    "entry_points.txt": "[group]\nname = module:attr [extra]\n",
    "RECORD": "foo.py,sha256=0,0\n",
}

ROLE, PACKAGE = sys.argv[1:3]
PLAIN = ROLE in ("plain", "itself")
HERE = os.path.dirname(os.path.abspath(__file__))
TOGETHER = 8  # histories a fork; one fork each would spend most of the time on copying pages
STDLIB = [path for path in sys.path if path and os.path.abspath(path) != HERE]

import answers

requests = iter(sys.stdin.readline, "")


def warmed_up():
    """Import everything that is needed once for all forks, including the package itself."""
    import csv  # noqa: F401
    import textwrap  # noqa: F401
    import zipfile  # noqa: F401

    used_once()
    if PLAIN:
        sys.path[:] = STDLIB
        assert not list(importlib.metadata.distributions()), STDLIB
        sys.meta_path.append(Library)
        return None
    sys.path[:] = [PACKAGE]
    import epcache

    assert os.path.dirname(os.path.dirname(epcache.__file__)) == PACKAGE, epcache.__file__
    sys.path[:] = [PACKAGE, *STDLIB]
    for module in sorted(os.listdir(os.path.join(PACKAGE, "epcache"))):
        name, extension = os.path.splitext(module)
        if extension == ".py" and name not in ("__init__", "__main__", "_pip_hook"):
            importlib.import_module(f"epcache.{name}")
    return epcache


def used_once():
    """Let `importlib.metadata` do its lazy imports and compilations."""
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory, "foo-1.dist-info")
        place.mkdir()
        for name, text in USED.items():
            (place / name).write_text(text)
        found = importlib.metadata.PathDistribution(place)
        speaker = answers.Answers(importlib.metadata, True)
        speaker.spell_distribution(found)
        for line in USED["METADATA"].splitlines():
            assert line.partition(": ")[2] in str(answers.spell_metadata(found.metadata))


class Library:
    """Finds late imports where the standard library is not on `sys.path`."""

    @staticmethod
    def find_spec(name, path=None, _target=None):
        return importlib.machinery.PathFinder.find_spec(name, STDLIB) if path is None else None


class Conversation:
    """One history, as seen by this process."""

    def __init__(self, epcache, request):
        self.root = request["root"]
        os.environ.pop("EPCACHE", None)
        if request["strict"]:
            os.environ["EPCACHE"] = "strict"
        os.environ["XDG_CACHE_HOME"] = request["user_cache"]
        os.chdir(self.root)
        self.warned = []
        self.finders = []
        if epcache is None:
            self.speakers = {
                True: answers.Answers(importlib.metadata, True),
                False: answers.Answers(answers.Of312(), False),
            }
            if sys.version_info >= (3, 12):
                self.speakers[False] = answers.Answers(importlib.metadata, False)
            return
        # Where, and as which user, the trigger of this history writes.
        epcache.SYSTEM_CACHE = request["system_cache"]
        epcache._system_uid = request["system_user"]
        warnings.resetwarnings()
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.showwarning = lambda message, category, *_: self.warned.append(
            f"{category.__name__}: {message}"
        )
        if ROLE == "own":
            self.speakers = {False: answers.Answers(epcache, False)}
        else:
            epcache.accelerate()
            self.speakers = {True: answers.Answers(importlib.metadata, True)}

    def reply(self, request):
        return getattr(self, request["do"])(request)

    def path(self, request):
        entries = [self.entry(entry) for entry in request["entries"]]
        if PLAIN:
            # To list directories without distributions for each question would take most of the time.
            sys.path[:] = entries
            return
        sys.path[:] = STDLIB + entries if request["stdlib"] == "first" else entries + STDLIB

    def entry(self, entry):
        kind, _, path = entry.partition(":")
        if kind == "bytes":
            return os.fsencode(path)
        return pathlib.Path(path) if kind == "Path" else entry

    def chdir(self, request):
        os.chdir(request["to"])

    def finder(self, request):
        directory = request["directory"]

        class Finder:
            @staticmethod
            def find_spec(*_):
                return None

            @staticmethod
            def find_distributions(context=None):
                try:
                    names = sorted(os.listdir(directory))
                except OSError:
                    return
                for name in names:
                    if name.endswith(".dist-info") and context.name in (None, name.partition("-")[0]):
                        yield importlib.metadata.PathDistribution(pathlib.Path(directory, name))

        self.finders.append(Finder)
        sys.meta_path.insert(0 if request["first"] else len(sys.meta_path), Finder)

    def keep(self, _request):
        for speaker in self.speakers.values():
            answers.without_caches()
            speaker.keep()

    def ask(self, request):
        speaker = self.speakers[request["native"]]
        replies = []
        del self.warned[:]
        for question in request["questions"]:
            answers.without_caches()
            replies.append(speaker.answer_kept() if question == ["kept"] else speaker.answer(question))
        return {"answers": replies, "warned": self.warned}

    def end(self):
        for finder in self.finders:
            sys.meta_path.remove(finder)
        sys.path[:] = STDLIB


def main():
    epcache = warmed_up()
    warnings.simplefilter("ignore")
    # Memory that the forks share should stay shared; they do not live long enough for a collection.
    gc.freeze()
    if not PLAIN:
        gc.disable()
    send({"ready": True})
    for line in requests:
        child = os.fork() if not PLAIN else 0
        if child:
            _, status = os.waitpid(child, 0)
            send({"ended": status})
            continue
        converse(epcache, line)
        for _ in range(0 if PLAIN else TOGETHER - 1):
            send({"ended": 0})
            converse(epcache, next(requests, None) or os._exit(0))
        if not PLAIN:
            os._exit(0)
        send({"ended": 0})


def converse(epcache, line):
    """Answer one history, except for the reply to its end."""
    conversation = Conversation(epcache, json.loads(line))
    send({"begun": True})
    for line in requests:
        request = json.loads(line)
        if request["do"] == "end":
            break
        send(conversation.reply(request))
    conversation.end()


def send(reply):
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


main()
