"""Uses of the public API that `make lint` checks with mypy; nothing here is executed."""

import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import Any

import epcache


def types_of_answers() -> None:
    found: epcache.EntryPoints = epcache.entry_points(group="g", name="n")
    first: epcache.EntryPoint = found["n"]
    text: str = first.name + first.group + first.value + first.module
    attr: str | None = first.attr
    extras: list[str] = first.extras
    dist: importlib.metadata.Distribution | None = first.dist
    loaded: Any = first.load()
    values: list[str] = [each.value for each in found.select(group="h")]
    names: set[str] = found.names | found.groups
    version: str = epcache.version("a")
    one: importlib.metadata.Distribution = epcache.distribution("a")
    every: Iterable[importlib.metadata.Distribution] = epcache.distributions(name="a")
    requires: list[str] | None = epcache.requires("a")
    files: list[importlib.metadata.PackagePath] | None = epcache.files("a")
    packages: Mapping[str, list[str]] = epcache.packages_distributions()
    print(text, attr, extras, dist, loaded, values, names, version, one, every, requires, files, packages)


def types_of_errors() -> None:
    errors: list[type[Exception]] = [epcache.PackageNotFoundError]
    warning: type[UserWarning] = epcache.StaleIndexWarning
    print(errors, warning)


def types_of_watchers(watcher: epcache.Watcher) -> None:
    names: list[str] = [each.name for each in watcher.poll().added]
    paths: list[str] = [each.path for each in watcher.installed()]
    epcache.accelerate()
    epcache.decelerate()
    print(names, paths)


def mistakes_are_found() -> None:
    epcache.version(1)  # type: ignore[arg-type]
    epcache.entry_points()[0]  # type: ignore[index]
    epcache.no_such_function()  # type: ignore[attr-defined]
