"""Finds the program `epcache` that was installed with this package.

Installers put it into the scripts directory of their scheme (a virtual environment, ``--user``,
``--prefix``, ``--target``, a system package), and record nowhere which one that was. Every scheme has it
at a fixed place relative to the site directory, so that place is tried first. The interpreter's own
scripts directory and ``PATH`` may belong to another installation.
"""

import os

NAME = "epcache"


def find():
    """The path of the program; None if there is none."""
    for directory in directories():
        path = os.path.join(directory, NAME)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def directories():
    """The directories that may hold the program, the most likely first."""
    site = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parent, name = os.path.split(site)
    if name in ("site-packages", "dist-packages"):
        # PREFIX/lib/python3.x/site-packages, /usr/lib/python3/dist-packages
        yield os.path.join(os.path.dirname(os.path.dirname(parent)), "bin")
    elif name == "python":
        # HOME/lib/python
        yield os.path.join(os.path.dirname(parent), "bin")
    # --target
    yield os.path.join(site, "bin")
    # In an editable installation the package is in a checkout, and the program in the interpreter's scripts.
    import sysconfig

    yield sysconfig.get_path("scripts")
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # An empty or relative entry means the working directory, which may hold files of untrusted users.
        if os.path.isabs(directory):
            yield directory
