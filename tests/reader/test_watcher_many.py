"""1,000 installations and removals by one process, watched by another."""

import random
import time

import pytest
from support.interpreters import INTERPRETERS

from .watcher_installers import INSTALLERS
from .watching import watched

OPERATIONS = 1000
NAMES = [f"name{number}" for number in range(12)]


class Name:
    """The history of one distribution: each version exists until a poll has seen it."""

    def __init__(self, name):
        self.name = name
        self.version = None
        self.seen_at = 0
        self.steps = None
        self.next = None
        # Every version that was installed, and every version that was removed.
        self.installed = []
        self.gone = []


def change(site, watching, seed):
    """Run installers for several names interleaved, a few steps at a time."""
    dice = random.Random(seed)
    names = [Name(name) for name in NAMES]
    begun = 0
    while begun < OPERATIONS or any(name.steps for name in names):
        name = dice.choice(names)
        if name.steps:
            for _ in range(dice.randint(1, 6)):
                if next(name.steps, "end") == "end":
                    name.version = name.next
                    name.steps = None
                    # Two more polls have ended, so one of them began after this.
                    name.seen_at = watching.polls + 2
                    break
        elif begun < OPERATIONS and watching.polls >= name.seen_at:
            install, upgrade, uninstall = INSTALLERS[dice.choice(["pip", "uv"])]
            begun += 1
            old, name.next = name.version, f"{begun}.0"
            if old is not None:
                name.gone.append(old)
            if old is None:
                name.steps = install(site, name.name, name.next)
            elif dice.random() < 0.5:
                name.steps = upgrade(site, name.name, old, name.next)
            else:
                name.steps = uninstall(site, name.name, old)
                name.next = None
            if name.next:
                name.installed.append(name.next)
        if dice.random() < 0.05:
            time.sleep(dice.uniform(0, 0.003))
    return names


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_none_of_1000_installations_and_removals_is_missed_or_reported_twice(version, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    with watched(INTERPRETERS[version], site) as watching:
        names = change(site, watching, seed=version)
        watching.stop()
    assert watching.before == []
    for name in names:
        events = watching.events(name.name)
        assert [new for kind, _, _, new in events if kind != "removed"] == name.installed
        ends = [old if kind == "updated" else new for kind, _, old, new in events if kind != "added"]
        assert ends == name.gone
    on_disk = sorted(path.name for path in site.glob("*.dist-info"))
    assert sorted(one["path"].rpartition("/")[2] for one in watching.installed) == on_disk
    assert on_disk == sorted(f"{name.name}-{name.version}.dist-info" for name in names if name.version)
