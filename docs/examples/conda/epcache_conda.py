"""Plugin of conda: refreshes the index of an environment after each transaction."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from conda import plugins
from conda.core.path_actions import Action
from conda.plugins.types import CondaPostTransactionAction


class Refresh(Action):
    """The last action of a transaction."""

    def verify(self) -> None:
        self._verified = True

    def execute(self) -> None:
        """Does nothing: conda removes files of old packages only after all actions were executed."""

    def reverse(self) -> None:
        """Does nothing: what a transaction changed and changed back leaves the index stale, never wrong."""

    def cleanup(self) -> None:
        # An environment without Python has no such directory.
        sites = list(Path(self.target_prefix).glob("lib/python3.*/site-packages"))
        # Its messages go to standard error, and no failure of it fails the transaction.
        if sites:
            program = os.path.join(sys.prefix, "bin", "epcache")
            try:
                subprocess.run([program, "refresh", *sites], stdout=subprocess.DEVNULL)
            except OSError as error:
                print(f"{program}: {error.strerror}", file=sys.stderr)


@plugins.hookimpl
def conda_post_transaction_actions() -> Iterator[CondaPostTransactionAction]:
    yield CondaPostTransactionAction(name="epcache-refresh", action=Refresh)
