"""Answers queries and reports how; run by an interpreter of any supported version.

The reader's directory is the argument, the request comes as JSON on stdin (see `interpreters.ask`).
"""

import sys

_reader = sys.argv[1]
_stdlib = [path for path in sys.path[1:] if path]


def _by_importlib():
    import importlib.metadata

    def entry_points(**params):
        # For 3.10 and 3.11, where a call without parameters returns a dictionary: the definition of 3.12.
        seen = set()
        found = []
        for distribution in importlib.metadata.distributions():
            if distribution._normalized_name not in seen:
                seen.add(distribution._normalized_name)
                found += distribution.entry_points
        found = [ep for ep in found if ep.matches(**params)]
        if params:
            own = importlib.metadata.entry_points(**params)
            # 3.10 and 3.11 sort by group before they select.
            by_group = found if sys.version_info >= (3, 12) else sorted(found, key=lambda ep: ep.group)
            assert [ep._key() for ep in own] == [ep._key() for ep in by_group], params
        return found

    return entry_points


def _plain(entry_point):
    path = getattr(entry_point.dist, "_path", None)
    directory = str(path).rstrip("/").rpartition("/")[2]
    return [entry_point.name, entry_point.value, entry_point.group, directory]


def main():
    import json
    import warnings

    request = json.loads(sys.stdin.read())
    caught = []
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, category, *where: caught.append([category.__name__, str(message)])
    if request["by"] == "epcache":
        sys.path[:] = [_reader] + _stdlib
        import epcache

        entry_points = epcache.entry_points
    else:
        sys.path[:] = _stdlib
        entry_points = _by_importlib()
        if sys.version_info < (3, 11):
            # A namedtuple in that version.
            from importlib.metadata import EntryPoint

            EntryPoint._key = lambda self: (self.name, self.value, self.group)
    sys.path[:] = request["path"] + _stdlib
    exec(request["setup"], {"sys": sys})
    loaded = set(sys.modules)
    results = []
    for query in request["queries"]:
        try:
            results.append(entry_points(**query))
        except Exception as error:
            results.append(type(error).__name__)
    loaded = sorted(set(sys.modules) - loaded)
    answers = [
        result if isinstance(result, str) else [_plain(entry_point) for entry_point in result]
        for result in results
    ]
    report = {"answers": answers, "warnings": caught, "modules": loaded}
    open(1, "w", encoding="utf-8", errors="surrogateescape").write(json.dumps(report))


main()
