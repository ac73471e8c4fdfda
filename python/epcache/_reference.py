"""Object references, such as ``package.module:object [extra]``, taken apart as CPython does it.

By `re`, because Python's ``\\w`` is what CPython applies; imported when the first is taken apart.
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
