"""Calls the function of a registered hook with the changes on standard input.

epcache runs this text in the interpreter of the site directory, with ``-I -c``. Its arguments are the site
directory, the module and the function.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TextIO


def changes(lines: TextIO) -> Iterator[SimpleNamespace]:
    """The changes as objects. docs/reference/hooks.md specifies their attributes."""
    for line in lines:
        yield SimpleNamespace(**json.loads(line))


def call(site: str, module: str, function: str) -> None:
    if site not in sys.path:
        sys.path.append(site)
    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    getattr(importlib.import_module(module), function)(changes(sys.stdin))


if __name__ == "__main__":
    call(*sys.argv[1:])
