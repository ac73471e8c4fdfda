"""The edits of a history: what installers and people do to a site directory.

Each is a generator that does one step of the installer at a time, in its order, so that questions can be
asked between any two. Missing files are left alone, so that any edit can be dropped from a history and
the rest can still be played.
"""

import hashlib
import os
import shutil

from . import records


def encoded(text):
    return text.encode("utf-8", "surrogateescape")


def put(path, text):
    """Write a file, with the directories above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    with open(path, "wb") as file:
        file.write(encoded(text))


def put_in_pieces(path, pieces):
    """Write a file as programs do whose buffer is full several times."""
    with open(path, "wb") as file:
        for piece in pieces:
            file.write(piece)


def blocks(text, size):
    """Pieces of this size: those of programs that copy bytes."""
    data = encoded(text)
    return [data[start : start + size] for start in range(0, len(data), size)]


def whole_lines(text, size):
    """Pieces of at most this size that end with a line: those of a text file of Python's."""
    pieces = [b""]
    for line in encoded(text).splitlines(keepends=True):
        if len(pieces[-1]) + len(line) > size:
            pieces.append(b"")
        pieces[-1] += line
    return pieces


def put_by_rename(path, text, suffix=".tmp"):
    """Replace a file as careful installers do."""
    put(path + suffix, text)
    os.replace(path + suffix, path)


def remove(path):
    """Remove a file, link or directory."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def modules_of(site, distribution):
    return [(os.path.join(site, path), text) for path, text in sorted(distribution["modules"].items())]


def in_a_wheel(files):
    """Their names, in the order of an archive."""
    return sorted(files, key=lambda name: (name == "RECORD", name))


def pip_install(site, distribution, **_):
    """pip: modules, the directory, its files, RECORD again at the end."""
    for path, text in modules_of(site, distribution):
        put(path, text)
    yield
    base = os.path.join(site, distribution["directory"])
    files = distribution["files"]
    if "" in files:
        remove(base)
        put(base, files[""])
        yield
        return
    # A distribution of that name is uninstalled first; if that step was dropped, it disappears here.
    remove(base)
    os.makedirs(base)
    yield
    for name in in_a_wheel(files):
        text = records.of_wheel(distribution) if name == "RECORD" else files[name]
        put(os.path.join(base, name), text)
        yield
    put_by_rename(os.path.join(base, "INSTALLER"), "pip\n", "smakhj5o.tmp")
    put(os.path.join(base, "REQUESTED"), "")
    if "RECORD" in files:
        yield
        record = records.of_installation(distribution, "INSTALLER", "REQUESTED")
        put_by_rename(os.path.join(base, "RECORD"), record, "x.tmp")
    yield


def installer_install(site, distribution, **_):
    """pypa/installer, as used by Poetry and package builders: no renames, INSTALLER and RECORD
    at the end."""
    base = os.path.join(site, distribution["directory"])
    files = distribution["files"]
    if "" in files:
        yield from pip_install(site, distribution)
        return
    for path, text in modules_of(site, distribution):
        put(path, text)
        yield
    # It refuses to overwrite files, so existing ones are removed before.
    remove(base)
    for name in in_a_wheel(files):
        text = files[name]
        if name == "RECORD":
            put(os.path.join(base, "INSTALLER"), "installer\n")
            text = records.of_installation(distribution, "INSTALLER")
            yield
        put(os.path.join(base, name), text)
        yield


def stashed(path):
    """The name to which pip renames a file that it replaces."""
    parent, name = os.path.split(path)
    for first in "~-.=%0":
        stash = os.path.join(parent, first + name[1:])
        if not os.path.lexists(stash):
            return stash
    return os.path.join(parent, "~" + name)


def stash(site, distribution):
    """Rename a distribution and its files; yields the new names one by one."""
    tops = {path.partition("/")[0] for path in distribution["modules"]} - {
        "ns",
        "shared",
        "share",
        "__pycache__",
    }
    for name in [distribution["directory"], *sorted(tops)]:
        path = os.path.join(site, name)
        if os.path.lexists(path):
            to = stashed(path)
            os.rename(path, to)
            yield to


def pip_uninstall(site, distribution, **_):
    """pip: everything is renamed to ``~`` names, then deleted."""
    hidden = []
    for path in stash(site, distribution):
        hidden.append(path)
        yield
    for path in hidden:
        remove(path)
        yield


def pip_upgrade(site, distribution, new, **_):
    """pip: the old version is renamed, the new one installed, the old one deleted."""
    target = os.path.join(site, new["directory"])
    if not os.path.lexists(target):
        os.mkdir(target)
        os.rmdir(target)
    hidden = []
    for path in stash(site, distribution):
        hidden.append(path)
        yield
    yield from pip_install(site, new)
    for path in hidden:
        remove(path)
        yield


def uv_install(site, distribution, cache, **_):
    """uv: the directory, RECORD, hard links from its cache, RECORD rewritten in place."""
    base = os.path.join(site, distribution["directory"])
    files = distribution["files"]
    if "" in files:
        yield from pip_install(site, distribution)
        return

    def link(path, text):
        cached = os.path.join(cache, hashlib.sha256(encoded(text)).hexdigest())
        if not os.path.exists(cached):
            put(cached, text)
        with open(cached, "rb") as file:
            changed = file.read() != encoded(text)
        if changed:  # by an edit of one of its links
            put_by_rename(cached, text)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        remove(path)
        os.link(cached, path)

    remove(base)
    os.makedirs(base)
    yield
    if "RECORD" in files:
        put(os.path.join(base, "RECORD"), records.of_wheel(distribution))
        yield
    for path, text in modules_of(site, distribution):
        link(path, text)
    for name in sorted(files):
        if name != "RECORD":
            link(os.path.join(base, name), files[name])
            yield
    put_by_rename(os.path.join(base, "INSTALLER"), "uv", ".tmpAbCd")
    if "RECORD" in files:
        record = records.of_installation(distribution, "INSTALLER")
        put_in_pieces(os.path.join(base, "RECORD"), blocks(record, 8192))
    yield


def uv_uninstall(site, distribution, **_):
    """uv: file by file, then the directories."""
    for path, _text in modules_of(site, distribution):
        if os.path.isfile(path):
            os.unlink(path)
            yield
            if path.count("/") > site.count("/") + 1 and not os.listdir(os.path.dirname(path)):
                os.rmdir(os.path.dirname(path))
                yield
    base = os.path.join(site, distribution["directory"])
    if os.path.isdir(base) and not os.path.islink(base):
        for name in sorted(os.listdir(base)):
            remove(os.path.join(base, name))
            yield
    remove(base)
    yield


def uv_upgrade(site, distribution, new, cache, **_):
    """uv: the old version is removed before the new one is installed."""
    yield from uv_uninstall(site, distribution)
    yield from uv_install(site, new, cache)


PACKAGED = 1_706_832_000 * 10**9  # the mtime that a package manager restores, in whole seconds


def packaged(path, when):
    """Give a file the time of its package."""
    os.utime(path, ns=(when, when), follow_symlinks=False)


def distro_install(site, distribution, owns_site=False, **_):
    """rpm, dpkg: new files beside their places, renamed, with the times of the package."""
    base = os.path.join(site, distribution["directory"])
    for path, text in modules_of(site, distribution):
        put_by_rename(path, text, ".dpkg-new")
    files = distribution["files"]
    if "" in files:
        if os.path.isdir(base):
            shutil.rmtree(base)
        put_by_rename(base, files[""], ".dpkg-new")
        packaged(base, PACKAGED)
    else:
        if not os.path.isdir(base):
            remove(base)
        os.makedirs(base, exist_ok=True)
        yield
        # A release-only upgrade replaces some files, and removes those that the new release lacks.
        for name in sorted(files):
            put_by_rename(os.path.join(base, name), files[name], ".dpkg-new")
            packaged(os.path.join(base, name), PACKAGED)
            yield
        for name in set(os.listdir(base)) - set(files):
            remove(os.path.join(base, name))
        if owns_site:
            packaged(base, PACKAGED)
    if owns_site:
        packaged(site, PACKAGED)
    yield


def distro_remove(site, distribution, **_):
    """rpm, dpkg: file by file."""
    yield from uv_uninstall(site, distribution)


def unpack(site, distribution, **_):
    """tar, rsync, image builders: directories get the times of the archive."""
    remove(os.path.join(site, distribution["directory"]))
    before = os.stat(site)
    for _step in pip_install(site, distribution):
        pass
    base = os.path.join(site, distribution["directory"])
    for path in [os.path.join(base, name) for name in os.listdir(base)] if os.path.isdir(base) else []:
        packaged(path, PACKAGED)
    packaged(base, PACKAGED)
    os.utime(site, ns=(before.st_atime_ns, before.st_mtime_ns))
    yield


def leave_empty(site, distribution, **_):
    """An empty directory, as an aborted removal leaves it."""
    base = os.path.join(site, distribution["directory"])
    if not os.path.lexists(base):
        os.mkdir(base)
    yield


def put_file(site, name, **_):
    """A file that is no distribution."""
    put(os.path.join(site, name), "x\n")
    yield


def remove_file(site, name, **_):
    remove(os.path.join(site, name))
    yield
