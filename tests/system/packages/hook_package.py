"""A package that registers a hook, which records what it gets and as whom it runs."""

import json

FILES = {
    "/usr/share/epcache/hooks.d/recorder.toml": """\
description = "Record changes"
command = ["/bin/sh", "-c", 'cat >>"$EPCACHE_CACHE/changes"; id -u >>"$EPCACHE_CACHE/users"']

[on]
distributions = ["alpha", "beta", "gamma"]

[sandbox]
write = ["cache"]
"""
}
PLACE = "/var/cache/epcache-hooks/recorder"


class Records:
    """What the hook of a system has recorded."""

    def __init__(self, system, site):
        self._system = system
        self._site = site
        self._seen = 0

    def new(self):
        """The changes since the last call, each as event, distribution, old and new version, and the three lists of
        groups; after a check of what all changes have in common."""
        file = self._system.path(f"{PLACE}/changes")
        changes = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        new, self._seen = changes[self._seen :], len(changes)
        keys = ("event", "distribution", "old_version", "version", "gained", "lost", "changed")
        for change in new:
            assert change.keys() == {*keys, "schema", "site", "opaque"}
            assert (change["schema"], change["site"], change["opaque"]) == (1, self._site, False)
        return [tuple(change[key] for key in keys) for change in new]

    def assert_user(self):
        """Check that the hook always ran as `epcache-hook`."""
        users = [line.split(":") for line in self._system.path("/etc/passwd").read_text().splitlines()]
        (uid,) = [uid for name, _, uid, *_ in users if name == "epcache-hook"]
        assert set(self._system.path(f"{PLACE}/users").read_text().split()) == {uid}
