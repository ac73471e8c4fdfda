#!/usr/bin/env python3
"""Writes the `.dist-info` directory of the Python package that `make install` has copied.

    dist_info.py SITE-DIRECTORY VERSION INSTALLER FILE...

FILE is a name below SITE-DIRECTORY. So every tool that lists distributions knows the package, and pip can remove it.
"""

import base64
import hashlib
import sys
from pathlib import Path


def main(site, version, installer, *files):
    directory = f"epcache-{version}.dist-info"
    Path(site, directory).mkdir(exist_ok=True)
    metadata = {
        "METADATA": f"Metadata-Version: 2.1\nName: epcache\nVersion: {version}\n",
        "INSTALLER": f"{installer}\n",
    }
    for name, text in metadata.items():
        Path(site, directory, name).write_text(text)
    lines = [
        line(Path(site), name) for name in sorted([*files, *(f"{directory}/{name}" for name in metadata)])
    ]
    Path(site, directory, "RECORD").write_text("".join([*lines, f"{directory}/RECORD,,\n"]))


def line(site, name):
    """The line of a file in RECORD: its name, hash and size."""
    data = (site / name).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


main(*sys.argv[1:])
