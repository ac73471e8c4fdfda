"""One process that does what a program asks `importlib.metadata` at its start, and reports how long that took.

    calls_process.py CALL

Prints as JSON the processor time and the elapsed time in ms, of the import and of the call after it, and a
checksum of the answer. Each call is named after the program that makes it, and is written as it is there: the
same functions in the same order, with the same groups.
"""

import sys

# What starting these takes is no part of a call.
import hashlib, json, re, time  # noqa: E401 # isort: skip


def nothing(metadata):
    """Only the import."""


def click(metadata):
    """``version_option``: the version of one distribution."""
    return metadata.version(sys.argv[2])


def opentelemetry(metadata):
    """What ``opentelemetry-instrument`` and the SDK ask: eight groups, two of them by name."""
    found = [
        list(_select(metadata, group=group))
        for group in (
            "opentelemetry_environment_variables",
            "opentelemetry_distro",
            "opentelemetry_configurator",
            "opentelemetry_pre_instrument",
            "opentelemetry_instrumentor",
            "opentelemetry_post_instrument",
        )
    ]
    found.append(list(_select(metadata, group="opentelemetry_context", name="contextvars_context")))
    found.append(list(_select(metadata, group="opentelemetry_propagator", name="tracecontext")))
    return [_plain(entry_points) for entry_points in found]


def rdflib(metadata):
    """``rdflib.plugin``: the groups of each of its kinds of plugins, one by one."""
    kinds = ("store", "serializer", "parser", "resultparser", "resultserializer", "queryprocessor")
    kinds += ("queryresult", "updateprocessor")
    return [_plain(_select(metadata, group=f"rdf.plugins.{kind}")) for kind in kinds]


def kedro(metadata):
    """The commands, hooks and starters of plugins."""
    groups = ("global_commands", "project_commands", "init", "line_magic", "hooks", "cli_hooks", "starters")
    return [_plain(_select(metadata, group=f"kedro.{group}")) for group in groups]


def ddtrace(metadata):
    """The name and the version of every distribution, and which of them has which package."""
    found = sorted((dist.metadata["name"], dist.metadata["version"]) for dist in metadata.distributions())
    if sys.version_info < (3, 10):
        return found
    return found, {name: list(names) for name, names in metadata.packages_distributions().items()}


def keyring(metadata):
    """Its backends."""
    return _plain(_select(metadata, group="keyring.backends"))


def pytest(metadata):
    """``pluggy.PluginManager.load_setuptools_entrypoints``."""
    found = []
    for distribution in list(metadata.distributions()):
        for entry_point in distribution.entry_points:
            if entry_point.group == "pytest11":
                found.append(entry_point)
    return _plain(found)


def flake8(metadata):
    """``flake8.plugins.finder._find_importlib_plugins``: the name of those that have a plugin."""
    found = []
    seen = set()
    for distribution in metadata.distributions():
        entry_points = distribution.entry_points
        if not any(
            entry_point.group in ("flake8.extension", "flake8.report") for entry_point in entry_points
        ):
            continue
        about = distribution.metadata
        if about["name"] in seen:
            continue
        seen.add(about["name"])
        found.append([about["name"], about["version"], _plain(entry_points)])
    return found


def colcon(metadata):
    """``colcon_core.extension_point``: all entry points, each with its distribution."""
    found = {}
    seen = set()
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name in seen:
            continue
        seen.add(name)
        for entry_point in distribution.entry_points:
            if entry_point.group.startswith("colcon"):
                found.setdefault(entry_point.group, []).append([name, distribution.version, entry_point.name])
    return sorted(found.items())


def npe2(metadata):
    """``npe2.PluginManager.discover``: the manifests of napari."""
    found = []
    for distribution in metadata.distributions():
        for entry_point in distribution.entry_points:
            if entry_point.group == "napari.manifest":
                found.append([distribution.metadata["Name"], *_plain([entry_point])])
    return found


def airflow(metadata):
    """``airflow.utils.entry_points``: all groups, the first of each canonical name."""
    found = {}
    loaded = set()
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if not name:
            continue
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in loaded:
            continue
        loaded.add(key)
        for entry_point in distribution.entry_points:
            found.setdefault(entry_point.group, []).append([key, *_plain([entry_point])])
    return sorted(found.items())


def stevedore(metadata):
    """``stevedore._cache``: everything, to fill its own cache."""
    entry_points = metadata.entry_points()
    if hasattr(entry_points, "groups"):
        entry_points = {group: entry_points.select(group=group) for group in entry_points.groups}
    return sorted((group, _plain(members)) for group, members in entry_points.items())


def transformers(metadata):
    """Which distribution has which package, at import."""
    found = metadata.packages_distributions()
    return {name: list(names) for name, names in found.items()}


def nbconvert(metadata):
    """``jupyter nbconvert``: exporters, one more for the name, and the kernels' provisioners."""
    exporters = _plain(_select(metadata, group="nbconvert.exporters"))
    one = _plain(_select(metadata, group="nbconvert.exporters", name="html"))
    return exporters, one, _plain(_select(metadata, group="jupyter_client.kernel_provisioners"))


def names_and_versions(metadata):
    """The most common idiom of all."""
    return sorted({dist.metadata["Name"]: dist.version for dist in metadata.distributions()}.items())


def _select(metadata, group, name=None):
    if sys.version_info >= (3, 10):
        return metadata.entry_points(group=group, **({} if name is None else {"name": name}))
    found = metadata.entry_points().get(group, ())
    return [entry_point for entry_point in found if name in (None, entry_point.name)]


def _plain(entry_points):
    return sorted([entry_point.group, entry_point.name, entry_point.value] for entry_point in entry_points)


def main():
    """Ask, and print what it took."""
    call = globals()[sys.argv[1]]
    times = [(time.process_time_ns(), time.perf_counter_ns())]
    from importlib import metadata

    times.append((time.process_time_ns(), time.perf_counter_ns()))
    answer = call(metadata)
    times.append((time.process_time_ns(), time.perf_counter_ns()))
    of_import, of_call = (
        [(after - before) / 1e6 for before, after in zip(times[step], times[step + 1])] for step in (0, 1)
    )
    text = json.dumps(answer)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    print(json.dumps({"import": of_import, "call": of_call, "answer": checksum, "length": len(text)}))


if __name__ == "__main__":
    main()
