#!/usr/bin/env python3
"""Writes docs/coverage.md from what tests have recorded in a file, or checks that it says what they have shown.

    tools/coverage.py FILE             write the page
    tools/coverage.py --check FILE     exit status 1 if the page says more than FILE has, or less

Rows of tests that the continuous integration does not run are taken from the page, unless FILE has them.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parent.parent / "docs/coverage.md"

#: The columns, in their order. A row without marks only says how it was tried.
COLUMNS = ["install", "upgrade", "same version", "removal", "failed", "killed", "readers"]
REAL, REPLAYED, COMPILED = "real", "reproduced", "compile-checked"


class Row(NamedTuple):
    """What is covered, how, and what was run."""

    what: str
    how: str
    run: str
    in_ci: bool = True


SECTIONS = {
    "Package managers": {
        "apt": Row("apt, dpkg", REAL, "Debian trixie"),
        "rpm": Row("rpm", REAL, "4.18 (bookworm), 4.20 (trixie) and 6 (sid), each in its Debian release"),
        "pacman": Row("pacman", REAL, "7.1, in Debian sid"),
        "apk": Row(
            "apk",
            REPLAYED,
            "the trigger and the commit hook are called as apk 3.0 calls them; no apk was run",
        ),
        "dnf": Row("dnf5", REAL, "with rpm 6, and a repository of its own"),
        "zypper": Row("zypper", REAL, "with rpm 6: one transaction for all packages, and one for each"),
        "conda": Row("rattler (pixi)", REAL, "conda's packages, through `epcache run` and without"),
        "pip": Row("pip", REAL, "the oldest and the newest that a Python supports, with the hook"),
        "uv": Row("uv", REAL, "through `epcache run`, and by itself"),
    },
    "Images and restricted systems": {
        "oci": Row("OCI images of environments", REAL, "buildah; unpacked by umoci and mounted as overlayfs"),
        "oci system": Row("OCI images of a system", REAL, "buildah, with dpkg's database as the witness"),
        "equal times": Row(
            "images with one time for all files",
            REAL,
            "`buildah --timestamp`; times of OSTree and Nix are set",
        ),
        "rpm-ostree": Row(
            "rpm-ostree, bootc",
            REPLAYED,
            "scripts and `refresh --usr` in the sandbox of a compose (bubblewrap), the first boot, another deployment",
        ),
        "composefs": Row(
            "composefs", REPLAYED, "EROFS images with all times 0, with an index in `/usr` and without"
        ),
        "systemd": Row("services and later hooks", REAL, "Debian trixie, booted by its systemd"),
        "chrootless": Row("another root", REAL, "`DPKG_ROOT`, scripts inside and outside of the tree"),
        "half-root": Row(
            "root with limits", REAL, "user namespaces, fakeroot, proot, qemu-user, without capabilities"
        ),
    },
    "Pythons and places": {
        "pypy": Row("PyPy", REAL, "of Debian bookworm"),
        "free-threaded": Row(
            "free-threaded CPython", REAL, "a build of 3.13 (`EPCACHE_TEST_FREE_THREADED`)", False
        ),
        "target": Row("`pip --target` directories", REAL, "on `PYTHONPATH`"),
        "zipapp": Row("zipapps", REAL, "beside an enabled environment"),
        "debian split": Row("Debian's `dist-packages`", REAL, "`/usr/lib` and `/usr/local`"),
        "usr local": Row("`/usr/local`", REAL, "the prefix of an interpreter in an image"),
        "two interpreters": Row("two interpreters on one directory", REAL, "CPython 3.9 and 3.13"),
    },
    "Other than Linux on x86_64 with glibc": {
        "targets": Row(
            "aarch64 and riscv64 with glibc, aarch64 and x86_64 with musl",
            COMPILED,
            "`make check-targets`",
            False,
        ),
        "systems": Row("macOS on aarch64, FreeBSD on x86_64", COMPILED, "`make check-targets`", False),
    },
    "Wheels, installed by pip (`make test-wheels`)": {
        "oldest": Row("manylinux2014, x86_64", REAL, "Debian bullseye: Python 3.9, glibc 2.31", False),
        "aarch64": Row("manylinux2014, aarch64", REAL, "Debian trixie, emulated by qemu-user", False),
        "musl": Row(
            "musllinux_1_2, x86_64 and aarch64",
            REAL,
            "Python 3.13 of Alpine Linux in Debian trixie, with its musl; aarch64 emulated",
            False,
        ),
        "reader alone": Row(
            "the reader alone", REAL, "Debian bullseye for i386, which has no wheel with the program", False
        ),
    },
}

INTRODUCTION = """\
# Coverage

What the tests have run on Linux, written by them (`make coverage`). *Real* means the real program on real files.
*Reproduced* means that the test does what the program is known to do. *Compile-checked* means that the program was
built, and not run. What is not here was not run; on Windows, the program does not compile.

A column has a mark where the index, `epcache list` and the reader were compared with `importlib.metadata` afterwards:

| column | after |
|---|---|
| install, upgrade, removal | a transaction |
| same version | the same version was built anew and installed over the old one |
| failed | a transaction that failed in its middle, or whose trigger failed |
| killed | a transaction, or the program, that was killed in its middle |
| readers | all the time: readers in a loop beside the transaction give answers that plain `importlib.metadata` could have given |
"""


def recorded(file):
    """By row, the columns that passed tests have recorded."""
    found = {}
    for line in Path(file).read_text().splitlines():
        record = json.loads(line)
        unknown = set(record["columns"]) - set(COLUMNS)
        if unknown or not any(record["row"] in rows for rows in SECTIONS.values()):
            sys.exit(f"tools/coverage.py: unknown: {record}")
        found.setdefault(record["row"], set()).update(record["columns"])
    return found


def line(row, columns):
    """A row of a table."""
    marks = ["✓" if column in columns else "" for column in COLUMNS]
    return "| " + " | ".join([row.what, row.how, row.run, *marks]) + " |"


def page(found, old):
    """The text of the page. Rows that were not run are those of the old page."""
    kept = {entry.split(" | ")[0]: entry for entry in old.splitlines()}
    text = INTRODUCTION
    for section, rows in SECTIONS.items():
        lines = []
        for name, row in rows.items():
            if name in found:
                lines.append(line(row, found[name]))
            elif not row.in_ci and f"| {row.what}" in kept:
                lines.append(kept[f"| {row.what}"])
        if lines:
            heads = ["", "how", "what was run", *COLUMNS]
            text += (
                f"\n## {section}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
                + "\n".join(lines)
                + "\n"
            )
    return text


def main(arguments):
    """Returns the exit status."""
    check = arguments[:1] == ["--check"]
    (file,) = arguments[1:] if check else arguments
    old = PAGE.read_text() if PAGE.exists() else ""
    new = page(recorded(file), old)
    if not check:
        PAGE.write_text(new)
    elif new != old:
        wrong = set(old.splitlines()) ^ set(new.splitlines())
        print("docs/coverage.md differs from what was run:", *sorted(wrong), sep="\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
