"""Environments of conda, changed by rattler: the files are hard links into the package cache.

The packages are made here, in a channel of files. The interpreter of the environment is that of a virtual environment,
since the package of Python comes from the network.
"""

import functools
import hashlib
import io
import json
import pathlib
import sys
import tarfile
import zipfile

from support.environments import CACHE
from support.interpreters import INTERPRETERS, run
from support.locking import locked

# Of the text that pip writes into INSTALLER.
PIP_SHA256 = "zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg"
TRANSACTION = pathlib.Path(__file__).with_name("conda_transaction.py")


@functools.cache
def rattler():
    """The path of an interpreter with rattler, from the package index."""
    tools = CACHE / "rattler"
    with locked(CACHE / "rattler.lock"):
        if not (tools / "complete").exists():
            run(sys.executable, "-m", "venv", tools)
            run(tools / "bin/python", "-m", "pip", "install", "--quiet", "py-rattler>=0.28,<0.29")
            (tools / "complete").touch()
    return tools / "bin/python"


class Conda:
    """An environment, a channel, and a package cache."""

    def __init__(self, directory):
        self.channel, self.cache, self.prefix = (directory / name for name in ("channel", "cache", "prefix"))
        (self.channel / "linux-64").mkdir(parents=True)
        (self.channel / "noarch").mkdir()
        run(INTERPRETERS["3.13"], "-m", "venv", "--without-pip", self.prefix)
        (self.prefix / "conda-meta").mkdir()
        (self.site,) = self.prefix.glob("lib/python3.*/site-packages")
        self.builds = 0

    def add(self, wheel):
        """Put the package of a wheel into the channel; of one version, the last counts."""
        name, version = wheel.name.split("-")[:2]
        self.builds += 1
        site = str(self.site.relative_to(self.prefix))
        with zipfile.ZipFile(wheel) as archive:
            files = {f"{site}/{file}": archive.read(file) for file in archive.namelist()}
        # The builder of packages calls pip, and names conda as the installer afterwards.
        info = f"{name}-{version}.dist-info"
        files[f"{site}/{info}/INSTALLER"] = b"conda"
        record = files[f"{site}/{info}/RECORD"].splitlines()
        record.append(f"{info}/INSTALLER,sha256={PIP_SHA256},4".encode())
        files[f"{site}/{info}/RECORD"] = b"\n".join(sorted(record)) + b"\n"
        paths = [
            {
                "_path": path,
                "path_type": "hardlink",
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_in_bytes": len(content),
            }
            for path, content in files.items()
        ]
        of_package = {"name": name, "version": version, "build": f"py_{self.builds}", "subdir": "linux-64"}
        of_package.update(build_number=self.builds, depends=[], timestamp=1700000000000 + self.builds)
        files["info/index.json"] = json.dumps(of_package).encode()
        files["info/paths.json"] = json.dumps({"paths": paths, "paths_version": 1}).encode()
        files["info/files"] = "".join(f"{path['_path']}\n" for path in paths).encode()
        package = self.channel / "linux-64" / f"{name}-{version}-py_{self.builds}.tar.bz2"
        with tarfile.open(package, "w:bz2") as archive:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.size, member.mtime = len(content), 1700000000
                archive.addfile(member, io.BytesIO(content))

    def transaction(self, *specs):
        """The command that gives the environment these packages and no others."""
        return [rattler(), TRANSACTION, self.channel, self.prefix, self.cache, *specs]
