"""Edits that no installer makes: strict mode must notice them in spite of restored stamps.

As in `edits`, each is a generator and leaves missing files alone.
"""

import os
import shutil

from .edits import encoded, put, put_by_rename, remove


def times(path):
    found = os.stat(path, follow_symlinks=False)
    return found.st_atime_ns, found.st_mtime_ns


def rewrite_in_place(site, path, text, restore, **_):
    """The same inode, new bytes; with `restore` the time is set back."""
    path = os.path.join(site, path)
    if os.path.isfile(path):
        before = times(path)
        with open(path, "wb") as file:
            file.write(encoded(text))
        if restore:
            os.utime(path, ns=before)
    yield


def replace_by_rename(site, path, text, restore, **_):
    """A new inode; with `restore` everything but the ctime is set back."""
    path = os.path.join(site, path)
    if os.path.isfile(path):
        parent = os.path.dirname(path)
        before, above = times(path), times(parent)
        put_by_rename(path, text)
        if restore:
            os.utime(path, ns=before, follow_symlinks=False)
            os.utime(parent, ns=above)
    yield


def add_file(site, path, text, restore, **_):
    """A new file."""
    path = os.path.join(site, path)
    parent = os.path.dirname(path)
    if os.path.isdir(parent) and not os.path.lexists(path):
        above = times(parent)
        put(path, text)
        if restore:
            os.utime(parent, ns=above)
    yield


def delete(site, path, restore, **_):
    """Delete a file of a distribution, or a module."""
    path = os.path.join(site, path)
    parent = os.path.dirname(path)
    if os.path.lexists(path):
        above = times(parent)
        remove(path)
        if restore:
            os.utime(parent, ns=above)
    yield


def make_directory(site, path, **_):
    """Replace a file by a directory."""
    path = os.path.join(site, path)
    if os.path.isdir(os.path.dirname(path)):
        remove(path)
        os.mkdir(path)
    yield


def make_link(site, path, text, **_):
    """Replace a file by a link to a file outside of the site directory."""
    path = os.path.join(site, path)
    if os.path.isdir(os.path.dirname(path)):
        target = os.path.join(os.path.dirname(site), "targets", os.path.basename(path))
        put(target, text)
        remove(path)
        os.symlink(target, path)
    yield


def rewrite_target(site, path, text, restore, **_):
    """Rewrite the target of a link of `make_link` in place."""
    targets = os.path.join(os.path.dirname(site), "targets")
    yield from rewrite_in_place(targets, os.path.basename(path), text, restore)


def link_distribution(site, directory, **_):
    """Move a distribution away, and put a link to it in its place."""
    path = os.path.join(site, directory)
    if os.path.isdir(path) and not os.path.islink(path):
        target = os.path.join(os.path.dirname(site), "targets", directory)
        remove(target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.move(path, target)
        os.symlink(target, path)
    yield


def swap(site, one, other, restore, **_):
    """Exchange the names of two distributions."""
    one, other = os.path.join(site, one), os.path.join(site, other)
    if one != other and os.path.lexists(one) and os.path.lexists(other):
        above = times(site)
        spare = os.path.join(site, "spare")
        remove(spare)
        os.rename(one, spare)
        os.rename(other, one)
        os.rename(spare, other)
        if restore:
            os.utime(site, ns=above)
    yield


def copy_in(site, directory, to, restore, **_):
    """Copy a distribution with its contents and times."""
    path, to = os.path.join(site, directory), os.path.join(site, to)
    if os.path.isdir(path) and not os.path.lexists(to):
        above = times(site)
        shutil.copytree(path, to, symlinks=True)
        if restore:
            os.utime(site, ns=above)
    yield


def copy_all(site, when, **_):
    """Replace the site directory by a copy, as an image is: with its times, or all files with one."""
    copy = site + ".copy"
    shutil.copytree(site, copy, symlinks=True)
    if when is not None:
        for directory, directories, files in os.walk(copy, topdown=False):
            for name in [*directories, *files]:
                os.utime(os.path.join(directory, name), (when, when), follow_symlinks=False)
        os.utime(copy, (when, when))
    os.rename(site, site + ".old")
    os.rename(copy, site)
    shutil.rmtree(site + ".old")
    yield


def touch(site, path, when, **_):
    """Change only the times."""
    path = os.path.join(site, path) if path else site
    if os.path.lexists(path):
        os.utime(path, ns=(when, when), follow_symlinks=False)
    yield
