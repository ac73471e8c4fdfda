"""What is installed, by importlib.metadata and by epcache.

Any interpreter runs this as a script, or a zipapp has it as its ``__main__.py``. The argument says who answers:
``plain`` is importlib.metadata as the interpreter has it; ``accelerated`` is the same after `epcache.accelerate()`,
and the functions of `epcache` have to agree. The directory of epcache follows, unless it is installed. Prints the
answers, and which metadata files were opened for them.
"""

import json
import re
import sys
import warnings

NAMES = ["probe", "Probe", "other", "pip", "nobody"]


def outcome(function, *arguments):
    """The result, or the name of the exception."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error).__name__


def rows_of(entry_points):
    return sorted([ep.group, ep.name, ep.value] for ep in entry_points)


def key_of(dist):
    """What is equal for distributions of the same name. Of one without metadata, its directory says it."""
    name = dist.metadata["Name"]
    return re.sub("[-_.]+", "_", name).lower() if name else getattr(dist, "_normalized_name", None)


def every_answer(metadata):
    """The results of the functions of `metadata`."""
    found = metadata.entry_points()
    if isinstance(found, dict):
        groups = {group: rows_of(found[group]) for group in found}
    else:
        groups = {group: rows_of(metadata.entry_points(group=group)) for group in found.groups}
        assert sorted(row for rows in groups.values() for row in rows) == rows_of(found)
    answers = {
        "entry_points": groups,
        "version": {name: outcome(metadata.version, name) for name in NAMES},
        "distributions": [
            [
                dist.metadata["Name"],
                dist.version,
                str(dist.locate_file("")),
                rows_of(dist.entry_points),
                key_of(dist),
            ]
            for dist in metadata.distributions()
        ],
    }
    if hasattr(metadata, "packages_distributions"):
        found = metadata.packages_distributions()
        answers["packages_distributions"] = {package: sorted(found[package]) for package in found}
    return answers


def assert_own_functions_agree(answers):
    import epcache

    # The first of each name counts, as in importlib.metadata from 3.10 on.
    first = {}
    for *_, rows, key in answers["distributions"]:
        first.setdefault(key, rows)
    wanted = sorted(row for rows in first.values() for row in rows)
    assert rows_of(epcache.entry_points()) == wanted
    for group in {row[0] for row in wanted}:
        assert rows_of(epcache.entry_points(group=group)) == [row for row in wanted if row[0] == group]
    assert {name: outcome(epcache.version, name) for name in NAMES} == answers["version"]
    own = [[dist.metadata["Name"], dist.version] for dist in epcache.distributions()]
    assert own == [row[:2] for row in answers["distributions"]]


def main(by, *reader):
    opened = []
    sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
    warnings.simplefilter("ignore")
    if by == "accelerated":
        # Last, so that nothing else is found there.
        sys.path.extend(reader)
        import epcache

        epcache.accelerate()
    import importlib.metadata

    answers = every_answer(importlib.metadata)
    if by == "accelerated":
        assert_own_functions_agree(answers)
    read = [path for path in opened if ".dist-info" in path or ".egg-info" in path]
    print(json.dumps({"answers": answers, "read": read}))


if __name__ == "__main__":
    main(*sys.argv[1:])
