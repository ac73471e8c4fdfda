"""Runs interpreters inside a tree, with chroot in a mount namespace that ends with them."""

import contextlib
import json
import os
import pathlib
import re
import subprocess

from support.interpreters import INTERPRETERS, READER

HERE = pathlib.Path(__file__).resolve().parent
QUESTIONS = ["entry_points", "group", "distributions", "versions", "packages"]
WAYS = [("3.13", "own"), ("3.13", "accelerated"), ("3.9", "accelerated")]

# $1 is the tree, $2 the interpreter's prefix, $3 the reader, $4 these tests; the rest is the command.
ENTER = r"""
set -eu
root=$1 prefix=$2 reader=$3 tests=$4; shift 4
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/mnt"
mkdir "$root/mnt/reader" "$root/mnt/tests"
mount --bind "$reader" "$root/mnt/reader"
mount --bind "$tests" "$root/mnt/tests"
for directory in /lib /lib64 "$prefix"; do
    mount --bind "$directory" "$root$directory"
done
exec chroot "$root" "$@"
"""


def enter(root, version, *arguments, before=()):
    """Run an interpreter in the tree; returns its output. `before` is a command that runs all of it."""
    python = pathlib.Path(INTERPRETERS[version])
    prefix = python.parents[1]
    # Mount points must exist: made once, so that later mounts change no mtime.
    for place in ("mnt", "lib", "lib64", str(prefix)):
        with contextlib.suppress(FileExistsError):
            (pathlib.Path(root) / place.lstrip("/")).mkdir(parents=True)
    command = [*before, "unshare", "--mount", "sh", "-c", ENTER, "sh"]
    command += [root, prefix, READER, HERE, python, "-S", "-E", "-B", *arguments]
    variables = {key: value for key, value in os.environ.items() if key != "EPCACHE" or value == "strict"}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env={**variables, "HOME": "/nonexistent", "PYTHONWARNINGS": "ignore"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(tree, version, way, questions=QUESTIONS, before=()):
    """The answers to questions, by question."""
    arguments = ["/mnt/tests/answer.py", way, tree.PLACE, "/mnt/reader", *questions]
    return json.loads(enter(tree.root, version, *arguments, before=before))


def right(tree):
    """Check that all versions and libraries give importlib.metadata's answers; returns them."""
    plain = {version: ask(tree, version, "plain") for version in {version for version, _ in WAYS}}
    for version, way in WAYS:
        assert ask(tree, version, way) == plain[version], (version, way)
    return plain["3.13"]


def accessed_paths(tree, questions, log):
    """The paths in the site directory that the answers to questions access, one for each call."""
    before = ["strace", "-f", "-qq", "-o", log, "-e", "trace=%file", "-s", "1000"]
    ask(tree, "3.13", "own", questions, before=before)
    found = []
    lines = [line for line in pathlib.Path(log).read_text().split("\n") if "execve(" not in line]
    for path in re.findall(r'"((?:[^"\\]|\\.)*)"', "\n".join(lines)):
        if path == tree.PLACE or path.startswith(tree.PLACE + "/"):
            found.append(path[len(tree.PLACE) :].lstrip("/"))
    return found


def is_proven(tree, tmp_path, listed=True):
    """Whether answers come from the index by a check of the directory as a whole.

    No distribution is accessed, and the directory three times: its stamp, the listing, its stamp. Where
    the index was made, its stamp is enough. An index of the user `epcache` only says where to look: the
    directory is listed once more, and the distributions' own files give the entry points. A small directory
    is listed before anything else, and that listing serves for all of it.
    """
    found = accessed_paths(tree, ["names"], tmp_path / "log")
    more = accessed_paths(tree, ["names", "versions", "packages"], tmp_path / "log")
    assert '/index"' in (tmp_path / "log").read_text()  # it was our reader that was traced
    entry_points = [path for path in found + more if path.endswith(".dist-info/entry_points.txt")]
    if any(".dist-info" in path and path not in entry_points for path in found + more):
        return False
    directory = os.stat(tree.site)
    if directory.st_size <= 4096 and directory.st_nlink <= 64:
        assert found.count("") == (3 if listed else 2), found
    else:
        assert found.count("") == (3 if listed else 1) + bool(entry_points), found
    return True
