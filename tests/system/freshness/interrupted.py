"""Histories of one installation each, in the middle of which an index is made: before every of its calls.

Nothing else happens, so an index that is settled too early gives a wrong answer at the end.
"""

import random

CALLS = 48  # more than most installations have
LONG = "# " + "x" * 600 + "\n"  # longer than a block, so that a copy is incomplete for a while
RECORDS = ["first", "late", "anywhere", "twice", "wrong", "without hashes"]
QUESTIONS = [["entry_points", None], ["distributions"], ["packages_distributions"], ["version", "foo"]]


def histories(filesystem, seed):
    """All of them; the seed decides about the order of files."""
    rng = random.Random(f"interrupted {seed}")
    for distribution in distributions():
        for edit in installers(rng, distribution):
            for calls in range(1, CALLS):
                yield {
                    "seed": seed,
                    "filesystem": filesystem,
                    "kept": "own",
                    "readers": ["site"],
                    "initial": [],
                    "operations": [edit],
                    "steps": [
                        ["go", 0, calls],
                        ["tool", "refresh", None, []],
                        ["go", 0, None],
                        *(["read", 0, question, {}] for question in QUESTIONS),
                    ],
                }


def distributions():
    """With entry points, with declared names, and with neither and a list that is written in pieces."""
    metadata = f"Metadata-Version: 2.1\nSummary: {LONG}Name: foo\nVersion: 1\n"
    entry_points = {"entry_points.txt": f"{LONG}[g]\na = m:f\n"}
    for files in (entry_points, {"top_level.txt": "t0\n", **entry_points}, {}):
        yield {
            "directory": "foo-1.dist-info",
            "files": {"METADATA": metadata, "RECORD": "", **files},
            "modules": {"t0.py": "x = 1\n"},
            "hashed": True,
            "padding": 0 if files else 600,
        }


def installers(rng, distribution):
    for how in ("pip_install", "uv_install", "installer_install"):
        yield {"how": how, "distribution": distribution}
    order = [*sorted(distribution["files"]), "INSTALLER", "modules"]
    assembled = {"how": "assembled", "distribution": distribution}
    for record in RECORDS:
        rng.shuffle(order)
        by = rng.choice(["writing", "copying", "linking"])
        yield {**assembled, "order": [*order], "record": record, "by": by}
    # In the end, nothing but the content of one file is missing.
    for last in sorted({*order} - {"modules", "INSTALLER"}):
        others = [name for name in order if name != last]
        record = "late" if last == "RECORD" else "first"
        by = "writing" if last == "RECORD" else "copying"
        yield {**assembled, "order": [*others, last], "record": record, "by": by}
