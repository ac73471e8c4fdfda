"""Writes completions of bash for the console scripts of distributions that use argcomplete or click.

bash-completion finds them if the hook's directory is in XDG_DATA_DIRS.
"""

import os
import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Optional

from argcomplete import shellcode
from argcomplete._check_module import ArgcompleteMarkerNotFound, find
from click import Command
from click.shell_completion import BashComplete

# Authors of packages choose the names; some are no good file names, or mean something to a shell.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def update(changes: Iterable[SimpleNamespace]) -> None:
    directory = Path(os.environ["EPCACHE_CACHE"], "bash-completion/completions")
    directory.mkdir(parents=True, exist_ok=True)
    everything = "EPCACHE_EVERYTHING" in os.environ
    for change in changes:
        # The first line of a file says whose it is.
        mark = f"# {change.site} {change.distribution}\n"
        for old in directory.iterdir():
            first = old.open().readline()
            if first == mark or (everything and first.startswith(f"# {change.site} ")):
                old.unlink()
        everything = False
        if change.event == "removed":
            continue
        for script in scripts(change.distribution):
            text = completion(script)
            if text is not None:
                new = directory / ".new"
                new.write_text(mark + text)
                new.rename(directory / script.name)
                print(script.name)


def scripts(name: str) -> list[EntryPoint]:
    try:
        found = distribution(name).entry_points
    except PackageNotFoundError:
        return []
    return [script for script in found if script.group == "console_scripts" and NAME.fullmatch(script.name)]


def completion(script: EntryPoint) -> Optional[str]:
    """What the library that the script uses prints for it, or None if it uses neither."""
    if is_marked(script):
        return shellcode([script.name])
    command = command_of(script)
    if command is None:
        return None
    variable = f"_{script.name}_COMPLETE".replace("-", "_").replace(".", "_").upper()
    return BashComplete(command, {}, script.name, variable).source()


def is_marked(script: EntryPoint) -> bool:
    """Whether argcomplete completes the script, which its module says. Nothing is imported for that."""
    try:
        path = find(script.value.partition(":")[0], return_package=True)
        with open(path, encoding="utf-8") as file:
            return "PYTHON_ARGCOMPLETE_OK" in file.read(1024)
    except (ArgcompleteMarkerNotFound, ImportError, OSError, ValueError):
        return False


def command_of(script: EntryPoint) -> Optional[Command]:
    """The command of click that the script runs. Only importing it shows that, which runs its module."""
    requirements = (script.dist.requires if script.dist else None) or []
    if not any(re.match(r"click\b", requirement, re.IGNORECASE) for requirement in requirements):
        return None
    try:
        found = script.load()
    except Exception as error:
        print(f"{script.name}: {error!r}")
        return None
    return found if isinstance(found, Command) else None
