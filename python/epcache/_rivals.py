"""Which of several distributions with one name counts."""

from ._origin import distribution


def keys_of(index):
    """The keys of all distributions of an index, by row."""
    keys = index.keys()
    for row, key in enumerate(keys):
        if not key:
            from . import _fallback

            keys[row] = _fallback.normalized_stem(index.directory(row))
            keys[row] = keys[row] or _fallback.key(distribution(index, row))
    return keys


def hidden_rows(index, taken):
    """The rows that do not count, because of `taken` or of each other."""
    taken = set(taken)
    hidden = set()
    keys = keys_of(index)
    for row in sorted(range(len(keys)), key=index.position):
        if keys[row] in taken:
            hidden.add(row)
        taken.add(keys[row])
    return hidden
