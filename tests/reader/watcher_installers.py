"""Installers, step by step: what pip, uv, rpm and setuptools do to a site directory, in their order.

Each function is a generator that pauses after every step that another process could see.
"""

import os
import pathlib

METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n\nWhat it is.\n"
ENTRY_POINTS = "[console_scripts]\n{0} = {0}:main\n[plugins]\n{0} = {0}.v{1}:Plugin\n"


def directory(site, name, version):
    return pathlib.Path(site, f"{name.replace('-', '_')}-{version}.dist-info")


def _texts(name, version):
    return {
        "METADATA": METADATA.format(name, version),
        "WHEEL": "Wheel-Version: 1.0\n",
        "entry_points.txt": ENTRY_POINTS.format(name, version),
        "RECORD": f"{name}/__init__.py,,\n",
    }


def _write(path, text):
    """As with O_TRUNC: for a moment the file is empty."""
    with open(path, "w") as file:
        yield
        file.write(text)
    yield


def _replace(path, text):
    """By a temporary file, as pip and uv write what they add."""
    temporary = path.with_name(f"{path.name}smakhj5o.tmp")
    yield from _write(temporary, text)
    temporary.rename(path)
    yield


def _module(site, name, version):
    package = pathlib.Path(site, name.replace("-", "_"))
    package.mkdir(exist_ok=True)
    yield
    yield from _write(package / "__init__.py", f"version = {version!r}\n")


def _delete(path):
    for child in sorted(path.iterdir()):
        if child.is_dir():
            yield from _delete(child)
        else:
            child.unlink()
            yield
    path.rmdir()
    yield


def pip_install(site, name, version):
    yield from _module(site, name, version)
    place = directory(site, name, version)
    place.mkdir()
    yield
    for file, text in _texts(name, version).items():
        yield from _write(place / file, text)
    yield from _replace(place / "INSTALLER", "pip\n")
    yield from _replace(place / "direct_url.json", "{}")
    yield from _write(place / "REQUESTED", "")
    yield from _replace(place / "RECORD", f"{name}/__init__.py,,\n{place.name}/INSTALLER,,\n")


def _pip_put_aside(site, name, version):
    place = directory(site, name, version)
    aside = [place.with_name("~" + place.name[1:])]
    aside[0].mkdir()
    yield
    aside[0].rmdir()
    yield
    place.rename(aside[0])
    yield
    package = pathlib.Path(site, name.replace("-", "_"))
    aside.append(package.with_name("~" + package.name[1:]))
    package.rename(aside[1])
    yield
    return aside


def pip_upgrade(site, name, old, new):
    aside = yield from _pip_put_aside(site, name, old)
    yield from pip_install(site, name, new)
    for path in aside:
        yield from _delete(path)


def pip_failed_upgrade(site, name, old, new):
    """pip restores the stashed files."""
    aside = yield from _pip_put_aside(site, name, old)
    yield from _module(site, name, new)
    yield from _delete(pathlib.Path(site, name.replace("-", "_")))
    aside[1].rename(pathlib.Path(site, name.replace("-", "_")))
    yield
    aside[0].rename(directory(site, name, old))
    yield


def pip_uninstall(site, name, version):
    for path in (yield from _pip_put_aside(site, name, version)):
        yield from _delete(path)


def uv_install(site, name, version):
    cache = pathlib.Path(site).parent / "cache" / f"{name}-{version}"
    if not cache.exists():
        cache.mkdir(parents=True)
        for file, text in _texts(name, version).items():
            (cache / file).write_text(text)
    place = directory(site, name, version)
    place.mkdir()
    yield
    yield from _write(place / "RECORD", "")
    for file in ("entry_points.txt", "METADATA", "WHEEL"):
        os.link(cache / file, place / file)
        yield
    yield from _module(site, name, version)
    yield from _write(place / "REQUESTED", "")
    yield from _replace(place / "direct_url.json", "{}")
    yield from _replace(place / "INSTALLER", "uv")
    yield from _write(place / "RECORD", f"{name}/__init__.py,,\n")


def uv_uninstall(site, name, version):
    yield from _delete(pathlib.Path(site, name.replace("-", "_")))
    yield from _delete(directory(site, name, version))


def uv_upgrade(site, name, old, new):
    yield from uv_uninstall(site, name, old)
    yield from uv_install(site, name, new)


def _rpm_unpack(site, name, version):
    place = directory(site, name, version)
    place.mkdir(mode=0o755)
    yield
    texts = {key: text for key, text in _texts(name, version).items() if key != "RECORD"}
    texts["INSTALLER"] = "rpm\n"
    for file, text in texts.items():
        path = place / f"{file};6b0258b1"
        yield from _write(path, text)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    yield from _module(site, name, version)
    for file in texts:
        (place / f"{file};6b0258b1").rename(place / file)
        yield


def rpm_install(site, name, version):
    yield from _rpm_unpack(site, name, version)


def rpm_upgrade(site, name, old, new):
    """Old and new version coexist until the old one is erased."""
    if old != new:
        yield from _rpm_unpack(site, name, new)
        yield from _delete(directory(site, name, old))
        return
    place = directory(site, name, old)
    for file, text in _texts(name, new).items():
        if file != "RECORD":
            path = place / f"{file};6b0258b2"
            yield from _write(path, text)
            os.utime(path, (1_600_000_000, 1_600_000_000))
    for file in _texts(name, new):
        if file != "RECORD":
            (place / f"{file};6b0258b2").rename(place / file)
            yield


def rpm_erase(site, name, version):
    yield from uv_uninstall(site, name, version)


INSTALLERS = {
    "pip": (pip_install, pip_upgrade, pip_uninstall),
    "uv": (uv_install, uv_upgrade, uv_uninstall),
    "rpm": (rpm_install, rpm_upgrade, rpm_erase),
}


def run(steps):
    """Run all steps at once."""
    for _ in steps:
        pass
