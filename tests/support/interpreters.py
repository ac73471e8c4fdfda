"""The interpreters that answer queries.

Where they are: ``$EPCACHE_TEST_PYTHONS`` (separated by colons), or pyenv's, or those on ``PATH``.
"""

import json
import os
import pathlib
import shutil
import subprocess

from .checkout import READER

VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]


def _interpreters():
    given = os.environ.get("EPCACHE_TEST_PYTHONS")
    if given:
        candidates = given.split(":")
    else:
        pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")))
        candidates = [str(path) for path in sorted(pyenv.glob("versions/3.*/bin/python"))]
        candidates += filter(None, (shutil.which(f"python{version}") for version in VERSIONS))
    found = {}
    for candidate in candidates:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        run = subprocess.run([candidate, "-S", "-E", "-c", code], capture_output=True, text=True)
        if run.returncode == 0:
            found.setdefault(run.stdout.strip(), candidate)
    return found


_FOUND = _interpreters()
INTERPRETERS = {version: _FOUND[version] for version in VERSIONS if version in _FOUND}
# Those that the package is not for.
OLDER = {version: _FOUND[version] for version in ("3.6", "3.7", "3.8") if version in _FOUND}


def run(*command, **options):
    """Run a command that must succeed; returns its output."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def asked_the_disk(found):
    """Whether a result of `ask` took more than an index."""
    return bool({"epcache._parse", "importlib.metadata"} & set(found["modules"]))


def ask(python, path, queries, by="epcache", setup="", environment=None):
    """The answers of an interpreter to `entry_points(**query)` with `path` first on its sys.path.

    A dictionary: ``answers``, one per query, each a list of [name, value, group, directory] or the
    name of the exception; ``warnings``; ``modules``, those loaded from first to last answer.
    """
    request = json.dumps({"path": list(map(str, path)), "queries": queries, "by": by, "setup": setup})
    script = pathlib.Path(__file__).with_name("answer.py")
    variables = {name: value for name, value in os.environ.items() if name != "EPCACHE"}
    variables.update(environment or {})
    return json.loads(run(python, "-S", "-E", script, READER, input=request, env=variables, timeout=120))


def expected(python, path, queries, setup=""):
    """The same from the interpreter's own importlib.metadata; for 3.9 from that of 3.12."""
    if python == INTERPRETERS.get("3.9"):
        python = INTERPRETERS["3.12"]
    return ask(python, path, queries, by="importlib", setup=setup)["answers"]
