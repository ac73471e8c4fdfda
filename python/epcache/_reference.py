"""Splits object references, such as ``package.module:object [extra]``, as CPython does.

CPython uses `re`, whose ``\\w`` nothing else matches exactly. It is imported only here, on first use.
"""

import re

_pattern = re.compile(
    r"(?P<module>[\w.]+)\s*"
    r"(:\s*(?P<attr>[\w.]+)\s*)?"
    r"((?P<extras>\[.*\])\s*)?$"
)

match = _pattern.match


def words(extras):
    """The names in a list of extras, brackets included."""
    return re.findall(r"\w+", extras)
