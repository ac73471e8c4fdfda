"""Runs a script on Python 3.15 with an `importlib.metadata` that finds what that of 3.12 finds.

Arguments: the script, and its arguments. Distributions stay those of 3.15, since `epcache` returns instances
of them: one without metadata raises `MetadataNotFound`.
"""

import importlib.metadata
import os
import runpy
import sys


class EntryPoint(importlib.metadata.EntryPoint):
    """An entry point that accepts every value, and raises only when the value is parsed."""

    def __init__(self, name, value, group):
        vars(self).update(name=name, value=value, group=group)

    @property
    def _match(self):
        try:
            return super()._match
        except ValueError:
            raise AttributeError(self.value) from None


importlib.metadata.EntryPoint = EntryPoint
# Used by `Distribution.from_name`, for the first that has metadata.
importlib.metadata.Distribution._prefer_valid = staticmethod(iter)

del sys.argv[0]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
