"""The questions: random calls of the functions that `epcache` shares with `importlib.metadata`.

A question is a list: the kind, then arguments. The worker answers it (see `answers`).
"""

from support.simulation.contents import ENTRY_NAMES, GROUPS, NAMES, VALUES

ASKED_NAMES = [
    *NAMES,
    "foo-bar",
    "FOO",
    "Foo.Bar",
    "zope-interface",
    "zope_interface",
    "~oo",
    "nobody",
    "other",
]


def a_question(rng):
    """One question."""
    kind = rng.random()
    name = rng.choice(ASKED_NAMES)
    if kind < 0.27:
        return ["entry_points", {"group": rng.choice([*GROUPS, "G", "h", "", "nothing"])}]
    if kind < 0.33:
        return ["entry_points", selection(rng)]
    if kind < 0.43:
        return ["entry_points", {}]
    if kind < 0.46:
        return ["groups_and_names"]
    if kind < 0.55:
        return ["version", name]
    if kind < 0.61:
        return ["distribution", name]
    if kind < 0.69:
        return ["distributions", {}]
    if kind < 0.73:
        return ["distributions", {"name": name}]
    if kind < 0.78:
        return ["every_distribution_s_entry_points"]
    if kind < 0.91:
        return ["packages_distributions"]
    if kind < 0.93:
        return ["requires", name]
    if kind < 0.95:
        return ["files", name]
    if kind < 0.97:
        return ["kept"]
    if kind < 0.98:
        return ["invalidate_caches"]
    return ["metadata", name]


def selection(rng):
    """Keyword arguments of entry_points()."""
    found = {}
    if rng.random() < 0.5:
        found["group"] = rng.choice(GROUPS)
    if rng.random() < 0.5:
        found["name"] = rng.choice(ENTRY_NAMES)
    if rng.random() < 0.3:
        found["value"] = rng.choice(VALUES)
    if rng.random() < 0.1:
        found[rng.choice(["module", "attr", "nonsense"])] = rng.choice(["m", "f", None])
    return found
