"""Seeded faults that the histories must find: each is made in a copy of the reader, or of the tool.

A fault has the histories to play (random ones, or a known one that finds it) and edits: file, text,
replacement.
"""

import os
import pathlib
import shutil
import subprocess

from support import checkout
from support.checkout import CHECKOUT, READER

KNOWN = pathlib.Path(__file__).parent / "known"

OF_THE_READER = {
    "the site proof goes by the mtime alone": (
        ["--on", "tmpfs"],
        [
            (
                "__init__.py",
                "return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size",
                "return info.st_mtime_ns, 0, 0, 0",
            ),
            (
                "__init__.py",
                'self.site = tuple(map(int, rows[b"site"].split(b"\\t")))',
                'self.site = (int(rows[b"site"].split(b"\\t")[0]), 0, 0, 0)',
            ),
        ],
    ),
    "an index is always treated as settled": (
        ["--replay", KNOWN / "upgraded_where_there_are_no_stamps.json"],
        [
            ("__init__.py", "index.settled and not (index.unsettled or index", "not (index"),
            ("_scan.py", "if not index.settled:", "if False:"),
            ("_view.py", "row not in self._unsettled", "row not in ()"),
        ],
    ),
    "distributions that were young are treated as settled": (
        ["--on", "ext4"],
        [
            ("__init__.py", "not (index.unsettled or index.opaque", "not (index.opaque"),
            ("_view.py", "row not in self._unsettled", "row not in ()"),
        ],
    ),
    "the stamp of entry_points.txt is not checked": (
        ["--on", "xfs"],
        [
            ("_view.py", 'if file != b"-":', "if not file:"),
            ("_view.py", 'return recorded == b"-" or', "return True or"),
        ],
    ),
    "directories without stamps are remembered as empty": (
        ["--replay", KNOWN / "nothing_was_installed_where_there_are_no_stamps.json"],
        [("__init__.py", "return ctime < EPOCH_ENDS or time", "return time")],
    ),
}

OF_THE_TOOL = {
    "the clock of the file system is not waited for": (
        ["--replay", KNOWN / "edited_within_a_second_on_ext3.json"],
        [("src/freshness/clock.rs", "ctime < at / granule * granule", "ctime <= at")],
    ),
    "stamps that may be repeated are recorded": (
        ["--replay", KNOWN / "edited_within_one_step_of_a_coarse_remote_clock.json"],
        [
            (
                "src/metadata/mod.rs",
                "if is_racy(stamp.ctime)",
                "if false && is_racy(stamp.ctime)",
            )
        ],
    ),
    "the hashes of a RECORD are not compared": (
        ["--interrupted", "--on", "tmpfs"],
        [
            (
                "src/metadata/record.rs",
                'strip_prefix("sha256=")) == Some(&sha256(text.as_bytes()))',
                'strip_prefix("sha256=")) != Some(&sha256(text.as_bytes())[1..])',
            )
        ],
    ),
    "the beginning of a RECORD is taken for all of it": (
        ["--interrupted", "--on", "tmpfs"],
        [("src/metadata/record.rs", "|| text.len() % BLOCK == 0", "")],
    ),
    "the RECORD of a wheel is taken for that of the installation": (
        ["--interrupted", "--on", "tmpfs"],
        [("src/site/install_state.rs", "Kind::None => record.lists(INSTALLER)", "Kind::None => true")],
    ),
}


def edited(directory, edits):
    """Make the edits; raises if the text of an edit is not found."""
    for name, old, new in edits:
        path = directory / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r} any more: the fault needs a new place"
        path.write_text(text.replace(old, new))


def faulty_reader(edits, copy):
    """Make a copy of the package with these edits; its directory."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("epcache", "epcache_startup"):
        shutil.copytree(READER / name, copy / name, ignore=ignored)
    edited(copy / "epcache", edits)
    return copy


def faulty_tool(edits, copy):
    """Build the tool with these edits; the binary."""
    for name in ("src", "build.rs", "Cargo.toml", "Cargo.lock"):
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, copy / name)
        else:
            shutil.copy(CHECKOUT / name, copy / name)
    edited(copy, edits)
    faulty = checkout.target() / "faulty"
    command = [
        "cargo",
        "build",
        "--quiet",
        "--locked",
        "--bin",
        "epcache",
        "--manifest-path",
        copy / "Cargo.toml",
    ]
    subprocess.run(command, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(faulty)})
    return faulty / "debug" / "epcache"
