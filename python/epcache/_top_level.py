"""The importable names that a distribution provides, as the versions of CPython tell them.

3.10: those that ``top_level.txt`` declares. 3.11: otherwise those of the ``.py`` files in the list of
files. 3.12: otherwise those of all listed files that exist, where a file by itself has to be a module
of this interpreter; 3.13 (and later releases of 3.12): or has no suffix.
"""

import sys

_DECLARED, _PYTHON, _MODULES, _ALL = range(4)


def rule_of(module):
    """The rule by which ``packages_distributions()`` of a module goes.

    Without one, that of this interpreter; 3.9 has no such function, and gets the newest rule.
    """
    if module is None and not (3, 10) <= sys.version_info < (3, 13):
        return _ALL
    if module is None:
        import importlib.metadata as module
    if hasattr(module, "_get_toplevel_name"):
        return _ALL
    if not hasattr(module, "_top_level_inferred"):
        return _DECLARED
    return _PYTHON if sys.version_info < (3, 12) else _MODULES


def from_table(rule, table, row, strict):
    """The names by an index; None if the disk has to be asked.

    In strict mode what was inferred from a list of files has to be inferred again, since removing a
    module leaves no trace in the metadata.
    """
    _, _, kind, names, python_names = table.top_level(row)
    if kind == "opaque":
        return None
    if kind == "declared":
        return names
    if rule == _DECLARED or kind == "none":
        return ()
    if strict:
        return None
    if rule == _PYTHON:
        return python_names
    return _inferred(names, rule)


def from_disk(module, distribution):
    """The names that a distribution of any kind provides, found as `module` finds them."""
    inferred = getattr(module, "_top_level_inferred", None)
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return declared
    if inferred is not None:
        return list(inferred(distribution))
    if hasattr(module, "packages_distributions"):
        return ()
    from ._fallback import Distribution, Installed

    if isinstance(distribution, Distribution):
        distribution = Installed(distribution._path)
    tokens = set()
    for path in distribution.files or ():
        if path.locate().exists():
            first, *rest = path.parts
            tokens.add(first + "/" if rest else first)
    return _inferred(tokens, _ALL)


def _inferred(tokens, rule):
    """The names that directories (with a slash at the end) and files by themselves provide."""
    found = set()
    for token in tokens:
        if token.endswith("/"):
            name = token[:-1]
        else:
            name = _module_name(token)
            if rule == _ALL:
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
