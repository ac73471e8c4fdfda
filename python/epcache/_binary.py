"""Where the program is that belongs to this package.

Installers put it into the scripts directory of the scheme that they follow (a virtual environment,
``--user``, ``--prefix``, ``--target``, a distribution's own), and say nowhere which it was. But every
scheme has it at a fixed place relative to the site directory, so that is asked first: the running
interpreter's own scripts directory and ``PATH`` may belong to another installation.
"""

import os

NAME = "epcache"


def find():
    """The path of the program, or None."""
    for directory in directories():
        path = os.path.join(directory, NAME)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def directories():
    """The directories in which the program may be, the likeliest first."""
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
    # An editable installation has the package in a checkout.
    import sysconfig

    yield sysconfig.get_path("scripts")
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # An empty or relative one is somewhere below the working directory, where strangers' files lie.
        if os.path.isabs(directory):
            yield directory
