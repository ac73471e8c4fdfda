"""The importable names that a distribution provides, by the rules of `_releases`."""

from ._releases import ALL, NONE, PYTHON


def from_table(rule, table, row, strict):
    """The names by an index; None if the disk has to be read.

    In strict mode, what was inferred from a list of files is inferred again: removing a module leaves
    no trace in the metadata.
    """
    _, _, kind, names, python_names = table.top_level(row)
    if kind == "opaque":
        return None
    if kind == "declared":
        return names
    if rule == NONE or kind == "none":
        return ()
    if strict:
        return None
    if rule == PYTHON:
        return python_names
    return _inferred(names, rule)


def from_disk(module, distribution):
    """The names that a distribution of any kind provides, found as `module` finds them."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return declared
    inferred = getattr(module, "_top_level_inferred", None)  # from 3.11 on
    return list(inferred(distribution)) if inferred is not None else ()


def _inferred(tokens, rule):
    """The names that directories (with a slash at the end) and files by themselves provide."""
    found = set()
    for token in tokens:
        if token.endswith("/"):
            name = token[:-1]
        else:
            name = _module_name(token)
            if rule == ALL:
                name = name or token
        if name is not None and "." not in name:
            found.add(name)
    return found


def _module_name(file_name):
    # As `inspect.getmodulename`, whose import takes long.
    for suffix in _suffixes():
        if file_name.endswith(suffix):
            return file_name[: -len(suffix)]
    return None


_known_suffixes = None


def _suffixes():
    global _known_suffixes
    if _known_suffixes is None:
        from importlib.machinery import all_suffixes

        _known_suffixes = sorted(all_suffixes(), key=len, reverse=True)
    return _known_suffixes
