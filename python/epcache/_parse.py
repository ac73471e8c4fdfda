"""The text of an ``entry_points.txt``, read as CPython from 3.10 on does."""


def parse(text):
    """The entry points as tuples (name, value, group); `TypeError` for a line without ``=``."""
    group = None
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line.strip("[]")
        elif group is not None:
            name, equals, value = line.partition("=")
            if not equals:
                raise TypeError(f"an entry point without a value: {line!r}")
            yield name.strip(), value.strip(), group
