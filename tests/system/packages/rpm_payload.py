"""RPM packages that hold Python distributions, built by the real rpmbuild.

A payload describes what a package puts into a site directory. All its files
have one old mtime, as in a reproducible build, so that a rebuild differs
by its content alone.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

# 2020-02-02 02:02:02 UTC, as a build with a clamped SOURCE_DATE_EPOCH would leave.
OLD = 1580608922

SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: payload of a test
License: MIT
BuildArch: noarch
AutoReqProv: no
{relations}
%define __os_install_post %{{nil}}
%define clamp_mtime_to_source_date_epoch 0
%define _build_name_fmt %%{{NAME}}-%%{{VERSION}}-%%{{RELEASE}}{build}.rpm

%description
Payload of a test.

%install
mkdir -p %{{buildroot}}
cp -a {source}/. %{{buildroot}}/

{scriptlets}

%files
{files}
"""


@dataclass
class Payload:
    """One package. `files` are absolute paths with their text, `owned` are the
    directories that the package owns: erasing it leaves the others behind."""

    name: str
    version: str = "1"
    release: str = "1"
    files: dict = field(default_factory=dict)
    owned: tuple = ()
    provides: tuple = ()
    requires: tuple = ()
    scriptlets: str = ""
    ghosts: tuple = ()  # those of `files` that the package names but does not contain
    build: str = ""  # tells packages of the same name, version and release apart

    @property
    def filename(self):
        return f"{self.name}-{self.version}-{self.release}{self.build}.rpm"


def metadata(name, version, format="2.1"):
    return f"Metadata-Version: {format}\nName: {name}\nVersion: {version}\n"


def dist_info(
    site,
    name,
    version="1.0",
    entry_points="",
    format="2.1",
    release="1",
    owns=True,
    package=None,
    build="",
):
    """A package with one `.dist-info`, whose version is also the package's."""
    directory = f"{site}/{name}-{version}.dist-info"
    files = {f"{directory}/METADATA": metadata(name, version, format), f"{directory}/INSTALLER": "rpm\n"}
    if entry_points:
        files[f"{directory}/entry_points.txt"] = entry_points
    return Payload(package or name, version, release, files, (directory,) if owns else (), build=build)


def write(payload, place):
    """Write the payload's files below `place`, all with the same mtime."""
    place.mkdir(parents=True)
    for path, text in payload.files.items():
        target = place / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for path in payload.owned:
        (place / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for directory, _, names in os.walk(place, topdown=False):
        for name in [*names, "."]:
            os.utime(os.path.join(directory, name), (OLD, OLD))


def build(system, payloads):
    """Build `payloads` with the rpmbuild of the chroot `system`, all in one run.

    Returns the directory with the packages, which has the same path inside and on the machine.
    """
    top = Path("/payloads")
    specs = []
    for payload in payloads:
        label = payload.filename.removesuffix(".rpm")
        place = system.path(top / "source" / label)
        if place.exists():
            shutil.rmtree(place)
        write(payload, place)
        lines = [("%ghost " if path in payload.ghosts else "") + f'"{path}"' for path in payload.files]
        lines += [f'%dir "{path}"' for path in payload.owned]
        spec = top / f"{label}.spec"
        system.path(spec).write_text(
            SPEC.format(
                name=payload.name,
                version=payload.version,
                release=payload.release,
                build=payload.build,
                relations="\n".join(
                    [f"Provides: {what}" for what in payload.provides]
                    + [f"Requires: {what}" for what in payload.requires]
                ),
                source=top / "source" / label,
                scriptlets=payload.scriptlets,
                files="\n".join(lines),
            ),
            encoding="utf-8",
        )
        specs.append(spec)
    system.run(
        "rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}/build", "--define", f"_rpmdir {top}", *specs
    )
    return top
