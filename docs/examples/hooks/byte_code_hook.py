"""Compiles the modules of new and changed distributions, for the interpreter that runs the hook."""

from collections.abc import Iterable
from compileall import compile_file
from importlib.metadata import files
from pathlib import Path
from types import SimpleNamespace


def compile_new(changes: Iterable[SimpleNamespace]) -> None:
    for change in changes:
        site = Path(change.site)
        for file in files(change.distribution) or ():
            path = site / file
            # Scripts lie elsewhere.
            if file.suffix == ".py" and ".." not in file.parts and path.is_file():
                # As with pip, a file with an error is no failure.
                compile_file(path, quiet=2)
