"""Shrinks a history that shows a wrong answer, for up to a minute."""

import copy
import time


def shorter(history):
    """Histories with one part removed, the largest parts first."""
    for part in ("steps", "initial"):
        for size in (32, 16, 8, 4, 2, 1):
            for start in range(len(history[part]) - size, -1, -size):
                candidate = copy.deepcopy(history)
                del candidate[part][start : start + size]
                yield candidate
    for place, step in enumerate(history["steps"]):
        if step[0] == "read" and step[3]:
            for call in step[3]:
                candidate = copy.deepcopy(history)
                del candidate["steps"][place][3][call]
                yield candidate
        if step[0] == "tool" and step[3]:
            for inside in range(len(step[3])):
                candidate = copy.deepcopy(history)
                del candidate["steps"][place][3][inside]
                yield candidate
    for part in ("operations", "initial"):
        for number, edit in enumerate(history[part]):
            for name in ("distribution", "new", "old"):
                for kind in ("files", "modules"):
                    for file in (edit.get(name) or {}).get(kind, ()):
                        candidate = copy.deepcopy(history)
                        del candidate[part][number][name][kind][file]
                        yield candidate


def shortest(history, fails, seconds=60):
    """The shortest history found that `fails` still accepts."""
    end = time.monotonic() + seconds
    found = True
    while found and time.monotonic() < end:
        found = False
        for candidate in shorter(history):
            if fails(candidate):
                history, found = candidate, True
                break
            if time.monotonic() > end:
                break
    return history
