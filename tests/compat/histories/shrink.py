"""Shrinks a history that shows a difference, for up to a minute."""

import copy
import time

AGE = 3.1  # seconds after which stamps no longer count as young


def shorter(history):
    """Histories with one element removed, the largest ones first."""
    for part in ("steps", "initial"):
        for size in (8, 4, 2, 1):
            for start in range(len(history[part]) - size, -1, -size):
                candidate = copy.deepcopy(history)
                del candidate[part][start : start + size]
                yield candidate
    for number, step in enumerate(history["steps"]):
        for name in ("pauses", "refreshed", "killed"):
            if name in step:
                candidate = copy.deepcopy(history)
                del candidate["steps"][number][name]
                yield candidate
        for name in ("questions", "entries", "distributions"):
            for place in range(len(step.get(name, ())) if len(step.get(name, ())) > 1 else 0):
                candidate = copy.deepcopy(history)
                del candidate["steps"][number][name][place]
                yield candidate
    for part in ("steps", "initial"):
        for number, step in enumerate(history[part]):
            for name in ("distribution", "new"):
                for kind in ("files", "modules"):
                    for file in step.get(name, {}).get(kind, ()):
                        candidate = copy.deepcopy(history)
                        del candidate[part][number][name][kind][file]
                        yield candidate


def shrunk(history, fails, seconds=60):
    """The shortest history found for which `fails` still does.

    `fails` takes histories, and returns the first of them that shows a difference, or None. It gets many
    at once, because it has to wait until stamps are old enough.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        candidates = list(shorter(history))
        for start in range(0, len(candidates), 60):
            found = fails(candidates[start : start + 60])
            if found is not None:
                history = found
                break
            if time.monotonic() > end:
                break
        else:
            break
    return history
