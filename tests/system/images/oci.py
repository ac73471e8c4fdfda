"""OCI images in a directory: containers changed in place and committed by buildah, images unpacked by
umoci, or layer by layer for overlayfs. No daemon, no registry, no storage of the machine.
"""

import contextlib
import gzip
import io
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tarfile

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


def run(*command, **options):
    """Run a command that must succeed; returns its output."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Store:
    """A directory with the images, by name, and the state of buildah."""

    def __init__(self, directory):
        self.directory = directory
        self.images = directory / "oci"
        self._number = 0
        configuration = directory / "storage.conf"
        lines = ["[storage]", 'driver = "vfs"']
        lines += [f'{key} = "{directory / key}"' for key in ("runroot", "graphroot")]
        configuration.write_text("\n".join(lines) + "\n")
        self._variables = {**os.environ, "CONTAINERS_STORAGE_CONF": str(configuration)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")

    def buildah(self, *arguments):
        return run("buildah", *arguments, env=self._variables).strip()

    def _of(self, name):
        return f"oci:{self.images}:{name}"

    @contextlib.contextmanager
    def change(self, name, result, *options):
        """The tree of image `name`, or an empty one, to change; it is committed as the image `result`.

        `options` are those of ``buildah commit``.
        """
        container = self.buildah("from", "--pull-never" if name is None else "--pull", self._base(name))
        try:
            yield self._open(pathlib.Path(self.buildah("mount", container)))
            self.buildah("commit", "--quiet", *options, container, self._of(result))
        finally:
            self.buildah("rm", container)

    def _open(self, root):
        # So that the user who writes the system's index can enter it.
        for directory in root.parents:
            if self.directory in directory.parents:
                directory.chmod(0o755)
        return root

    def _base(self, name):
        return "scratch" if name is None else self._of(name)

    def build(self, containerfile, result, *options):
        """Build the image `result` from a Containerfile, in which `{name}` is the image of that name."""
        names = filter(None, map(_tag, self._manifests()))
        place = self.directory / "build"
        place.mkdir(exist_ok=True)
        (place / "Containerfile").write_text(containerfile.format(**{n: self._of(n) for n in names}))
        self.buildah("build", "--quiet", *options, "--tag", self._of(result), place)

    def _manifests(self):
        return json.loads((self.images / "index.json").read_text())["manifests"]

    def _blob(self, descriptor):
        return self.images / "blobs" / descriptor["digest"].replace(":", "/")

    @contextlib.contextmanager
    def unpacked(self, name):
        """The tree of an image, unpacked for this use."""
        self._number += 1
        bundle = self.directory / f"bundle-{self._number}"
        try:
            run("umoci", "unpack", "--image", f"{self.images}:{name}", bundle)
            yield self._open(bundle / "rootfs")
        finally:
            shutil.rmtree(bundle, ignore_errors=True)

    @contextlib.contextmanager
    def layers(self, name):
        """The layers of an image, the lowest first, each unpacked separately as overlayfs needs it."""
        (manifest,) = (image for image in self._manifests() if _tag(image) == name)
        manifest = json.loads(self._blob(manifest).read_text())
        self._number += 1
        directory = self.directory / f"layers-{self._number}"
        try:
            layers = []
            for number, layer in enumerate(manifest["layers"]):
                layers.append(directory / str(number))
                data = self._blob(layer).read_bytes()
                _extract(gzip.decompress(data) if "gzip" in layer["mediaType"] else data, layers[-1])
            yield layers
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _tag(manifest):
    """The name of an image. An image whose name was given to another has none."""
    return manifest.get("annotations", {}).get("org.opencontainers.image.ref.name")


def _extract(data, directory):
    directory.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        kept = [member for member in members if not _name(member).startswith(WHITEOUT)]
        archive.extractall(directory, members=kept, numeric_owner=True)
    for member in members:
        name = _name(member)
        if not name.startswith(WHITEOUT):
            continue
        parent = directory / member.name.rpartition("/")[0]
        before = os.stat(parent)
        if name == OPAQUE:
            os.setxattr(parent, "trusted.overlay.opaque", b"y")
        else:
            os.mknod(parent / name[len(WHITEOUT) :], stat.S_IFCHR | 0o600, os.makedev(0, 0))
        os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def _name(member):
    return member.name.rpartition("/")[2]
