"""Answers questions by one of three libraries, as JSON; run by an interpreter inside an image.

Arguments: the library (plain, own, accelerated), the site directory, the reader's directory, questions.
"""

import sys

way, site, reader, *questions = sys.argv[1:]
sys.path[:] = [reader, *(path for path in sys.path[1:] if path), site]

if way == "own":
    import epcache as metadata
else:
    if way == "accelerated":
        import epcache

        epcache.accelerate()
    import importlib.metadata as metadata


def entry_points():
    found = metadata.entry_points()
    if isinstance(found, dict):
        return {group: [[ep.name, ep.value, ep.group] for ep in found[group]] for group in sorted(found)}
    return [[ep.group, ep.name, ep.value, ep.dist.name] for ep in found]


def names():
    # If the index is neither root's nor the reader's, values would be confirmed.
    return [ep.name for ep in metadata.entry_points(group="probe")]


def group():
    found = metadata.entry_points()["probe"] if sys.version_info < (3, 10) and way != "own" else None
    found = metadata.entry_points(group="probe") if found is None else found
    return [[ep.name, ep.value] for ep in found]


def distributions():
    return [[dist.metadata["Name"], dist.version] for dist in metadata.distributions()]


def versions():
    found = {}
    for name in ("alpha", "beta", "gamma", "delta"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def packages():
    if not hasattr(metadata, "packages_distributions"):
        return None
    return dict(metadata.packages_distributions())


def main():
    # In the working order, so that nothing is imported that the answer does not need.
    answers = {question: globals()[question]() for question in questions}
    import json

    sys.stdout.write(json.dumps(answers))


main()
