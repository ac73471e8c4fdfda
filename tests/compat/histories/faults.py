"""Seeded faults that the histories must find: each is made in a copy of the package.

A fault has a description, the kind of histories that find it, and edits: file, text, replacement.
"""

import shutil

FAULTS = {
    "the site proof goes by the mtime alone": (
        ["--role", "own", "--proof", "site"],
        [
            (
                "__init__.py",
                "return info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size",
                "return info.st_mtime_ns",
            ),
            (
                "__init__.py",
                'self.site = tuple(map(int, rows[b"site"].split(b"\\t")))',
                'self.site = int(rows[b"site"].split(b"\\t")[0])',
            ),
        ],
    ),
    "the site proof is skipped": (
        ["--role", "own", "--proof", "site"],
        [("_scan.py", "stamp_of(info) == index.site and not index.has_witnesses()", "True")],
    ),
    "distributions that were young are treated as settled": (
        ["--role", "own", "--proof", "site"],
        [("_view.py", "row not in self._unsettled", "row not in ()")],
    ),
    "the stamp of entry_points.txt is not checked": (
        ["--role", "own", "--proof", "strict"],
        [
            ("_view.py", 'if file != b"-":', "if not file:"),
            ("_view.py", 'return recorded == b"-" or', "return True or"),
        ],
    ),
    "the stamp of the metadata file is not checked": (
        ["--role", "accelerated", "--proof", "strict"],
        [
            (
                "_view.py",
                'return recorded == b"-" or self._has(f"{name}/{metadata_file',
                'return True or self._has(f"{name}/{metadata_file',
            ),
        ],
    ),
    "the content of a file is not compared": (
        ["--role", "own", "--proof", "strict"],
        [("_contents.py", "return recorded == b", "return True or b")],
    ),
    "both distributions of one name count": (
        ["--role", "own"],
        [
            (
                "_discovery.py",
                "if key in taken:\n                continue",
                "if False:\n                continue",
            )
        ],
    ),
    "distributions come in the order of the table": (
        ["--role", "accelerated"],
        [
            (
                "_view.py",
                "rows = sorted(range(len(names)), key=places.__getitem__)",
                "rows = list(range(len(names)))",
            )
        ],
    ),
    "names of a removed module are still returned": (
        ["--role", "accelerated", "--proof", "strict"],
        [("_packages.py", "if strict:\n        return None", "if False:\n        return None")],
    ),
    "texts that 3.9 reads differently are not flagged": (
        ["--role", "accelerated", "--python", "3.9"],
        [("_backend.py", 'self._refused = b"c"', 'self._refused = b""')],
    ),
}


def faulty(package, edits, copy):
    """Make a copy of the package with these edits; raises if the text of an edit is not found."""
    for name in ("epcache", "epcache_startup"):
        shutil.copytree(package / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in edits:
        path = copy / "epcache" / name
        text = path.read_text()
        assert text.count(old) >= 1, f"{name} has no {old!r} any more: the fault needs a new place"
        path.write_text(text.replace(old, new))
