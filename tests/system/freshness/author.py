"""Generates a history from a seed: operations, and the order in which they, the tool and readers run.

A history is data. ``operations`` are edits of the site directory, each an installer's or a person's
work; ``steps`` is a list of

    ["go", operation, calls]      it makes this many further system calls, all of them if null
    ["kill", operation]           it ends at its current call
    ["read", reader, question, {call: steps}]
                                  the steps run before the reader's system call of that number
    ["stale", reader, question, requests]
                                  a read while the file system answers this many requests with ESTALE
    ["tool", by, us, steps]       refresh, or dpkg's or rpm's trigger; stopped after us µs (null: not
                                  at all) for the steps
    ["age"]                       more time than the guard passes
    ["clock", seconds]            the file system's clock is set ahead of the machine's
    ["below", operation]          an overlay is unmounted, its lower directory changed, and mounted again

Half of the histories have only `installers`, with readers that use the site proof and one in strict
mode; in the others anything happens, and all readers are in strict mode.
"""

import random
import re

from support.simulation import contents

NAMES = ["foo", "foo_bar", "bar", "baz", "qux", "zope.interface"]
GROUPS = contents.GROUPS
STRICT, SITE = "strict", "site"


def a_history(seed, filesystem):
    """The history of a seed on a file system, whose properties limit what can happen."""
    return _Author(random.Random(f"freshness {seed}"), filesystem).write(seed)


class _Author:
    def __init__(self, rng, filesystem):
        self.rng = rng
        self.filesystem = filesystem
        self.installers = rng.random() < 0.55
        self.kept = rng.choice(["own", "own", "system"])
        self.tag = 0
        self.present = []
        self.operations = []
        self.readers = [SITE, STRICT, SITE][: rng.choice([2, 3])] if self.installers else [STRICT, STRICT]

    def write(self, seed):
        rng = self.rng
        initial = []
        for _ in range(rng.choice([0, 1, 2, 2, 3])):
            new = self.a_distribution(fresh=True)
            how = "pip_install" if self.kept == "own" else rng.choice(["distro_install", "rpm_install"])
            initial.append({"how": how, "distribution": new})
            self.present.append(new)
        steps = [["age"]] if rng.random() < 0.3 else []
        if rng.random() < 0.9:
            steps += [self.tool(), *self.reads()]
        for _ in range(rng.choice([2, 3, 4, 6])):
            steps += self.scene()
        return {
            "seed": seed,
            "filesystem": self.filesystem,
            "kept": self.kept,
            "readers": self.readers,
            "initial": initial,
            "operations": self.operations,
            "steps": steps,
        }

    # --- distributions ---

    def a_distribution(self, fresh=False, like=None):
        """A random distribution with unique values and version; `like` another in name."""
        rng = self.rng
        while True:
            found = contents.a_distribution(rng, 0)
            if like is not None:
                found["directory"] = like["directory"]
                if ("" in found["files"]) != ("" in like["files"]):
                    continue
                if found["directory"].endswith(".egg-info"):
                    found["files"].pop("METADATA", None)
            taken = any(found["directory"] == other["directory"] for other in self.present)
            if not fresh or not taken:
                return self.tagged(found)

    def tagged(self, found):
        """The same with texts that identify it, of the same length for all."""
        self.tag += 1
        module = f"t{self.tag:04d}.py"
        files = {}
        for name, text in found["files"].items():
            if name == "entry_points.txt":
                text = re.sub(r"(?m)= .*$", f"= t{self.tag:04d}.m:f", text)
            elif name in ("", "METADATA", "PKG-INFO"):
                text = re.sub(r"(?m)^Version: .*$", f"Version: 1.{1000 + self.tag}", text)
            elif name == "RECORD":
                text = f"{module},,\n{found['directory']}/RECORD,,\n"
            else:
                continue
            files[name] = text
        new = {"directory": found["directory"], "files": files, "modules": {module: "x = 1\n"}}
        if found.get("hashed"):
            new["hashed"] = True
            if self.rng.random() < 0.3:
                new["padding"] = 600
        return new

    # --- what happens ---

    def scene(self):
        """Some concurrent operations, with other events meanwhile."""
        rng = self.rng
        special = rng.random()
        if special < 0.08:
            return [["age"], *self.reads()]
        if special < 0.12 and self.filesystem.startswith("fuse"):
            # Where stamps are coarse as well, more than a second of skew is beyond what the design allows.
            steps = [-1, 0, 1] if self.filesystem == "fuse-2s" else [-3600, -2, -1, 0, 1, 2, 3600]
            return [["clock", rng.choice(steps)], *self.reads()]
        if special < 0.3 and self.filesystem == "overlay" and not self.installers:
            return [["below", self.operation(elsewhere=True)], *self.reads()]
        if special < 0.3 and self.filesystem == "fuse-nfs":
            return self.stale_reads()
        if special > 0.7 and self.kept == "own" and self.installers:
            return self.indexed_meanwhile()
        count = 1 if self.kept == "system" and self.installers else rng.choice([1, 1, 2, 3])
        active = [self.operation() for _ in range(count)]
        steps = self.interleaved(active)
        if self.kept == "system" and self.installers:
            steps.append(self.tool())
        elif rng.random() < 0.4:
            steps.append(self.tool(active=[]))
        return steps + self.reads()

    def indexed_meanwhile(self):
        """An operation in the middle of which indexes are made, and the answers from the last one."""
        rng = self.rng
        number = self.operation()
        steps = []
        for _ in range(rng.choice([1, 1, 2])):
            steps += [["go", number, rng.randint(1, 30)], ["tool", "refresh", None, []]]
        return [*steps, ["go", number, None], *self.reads(), *self.reads()]

    def interleaved(self, active):
        rng = self.rng
        steps = []
        active = list(active)
        killed = (
            active[0] if rng.random() < 0.06 and not (self.kept == "system" and self.installers) else None
        )
        turns = 0
        while active:
            turns += 1
            number = rng.choice(active)
            chance = rng.random()
            if turns > 24 or chance < 0.04:
                steps.append(["go", number, None])
                active.remove(number)
            elif number == killed and chance < 0.2:
                steps.append(["kill", number])
                active.remove(number)
            elif chance < 0.1 and not (self.kept == "system" and self.installers):
                steps.append(self.tool(active))
            elif chance < 0.112:
                steps.append(["age"])
            else:
                steps.append(["go", number, rng.choice([1, 1, 1, 2, 2, 3, 5])])
            steps += self.reads(active)
        return steps

    def operation(self, elsewhere=False):
        found = self.an_installer_s() if self.installers or self.rng.random() < 0.4 else self.anything()
        if elsewhere or (self.filesystem == "fuse-nfs" and not self.installers and self.rng.random() < 0.4):
            # If another machine replaces the site directory itself, readers keep the old one open.
            found["elsewhere"] = found["how"] not in ("layered", "linked")
        self.operations.append(found)
        return len(self.operations) - 1

    def an_installer_s(self):
        rng = self.rng
        present = self.present
        if self.kept == "system":
            if present and rng.random() < 0.75:
                old = rng.choice(present)
                if rng.random() < 0.25:
                    present.remove(old)
                    return {"how": rng.choice(["distro_remove", "rpm_remove"]), "distribution": old}
                new = (
                    self.a_distribution(like=old) if rng.random() < 0.75 else self.a_distribution(fresh=True)
                )
                present[present.index(old)] = new
                owns = rng.random() < 0.2
                if rng.random() < 0.5 or new["directory"] != old["directory"]:
                    return {"how": "rpm_install", "distribution": new, "old": old, "owns_site": owns}
                return {"how": "distro_install", "distribution": new, "owns_site": owns}
            new = self.a_distribution(fresh=True)
            present.append(new)
            return {"how": rng.choice(["distro_install", "rpm_install"]), "distribution": new}
        if not present or rng.random() < 0.35:
            new = self.a_distribution(fresh=True)
            present.append(new)
            if rng.random() < 0.4:
                return self.assembled(new)
            how = rng.choice(["pip_install", "uv_install", "installer_install", "unpack", "copied_cp"])
            return {"how": how, "distribution": new}
        old = rng.choice(present)
        if rng.random() < 0.35:
            present.remove(old)
            return {"how": rng.choice(["pip_uninstall", "uv_uninstall"]), "distribution": old}
        new = self.a_distribution(like=old) if rng.random() < 0.6 else self.a_distribution(fresh=True)
        present[present.index(old)] = new
        return {"how": rng.choice(["pip_upgrade", "uv_upgrade"]), "distribution": old, "new": new}

    def assembled(self, distribution):
        """An installation in any order."""
        rng = self.rng
        order = [*sorted(distribution["files"]), "INSTALLER", "modules"]
        rng.shuffle(order)
        return {
            "how": "assembled",
            "distribution": distribution,
            "order": order,
            "record": rng.choice(["first", "late", "anywhere", "twice", "wrong", "without hashes"]),
            "by": rng.choice(["writing", "copying", "linking"]),
        }

    def anything(self):
        rng = self.rng
        present = self.present
        kind = rng.random()
        if not present or kind < 0.1:
            return self.an_installer_s()
        old = rng.choice(present)
        if kind < 0.2:
            new = self.a_distribution(like=old)
            present[present.index(old)] = new
            return {
                "how": "copied",
                "distribution": new,
                "by": rng.choice(["cp", "rsync"]),
                "when": rng.choice([None, 1_600_000_000 * 10**9]),
            }
        if kind < 0.26:
            return {"how": "layered", "truncated": rng.random() < 0.8}
        if kind < 0.32:
            return {"how": "linked", "distribution": self.a_distribution(fresh=True)}
        if kind < 0.4:
            return {"how": "set_back", "path": rng.choice(["", old["directory"]])}
        restore = rng.random() < 0.5
        file = rng.choice(sorted(old["files"]) or [""])
        path = f"{old['directory']}/{file}".rstrip("/")
        text = self.tagged(old)["files"].get(file, "x")
        if kind < 0.46 and file:
            return {"how": "checked_out", "path": path, "text": text}
        how = rng.choice(
            ["rewrite_in_place"] * 6
            + ["replace_by_rename"] * 3
            + [
                "delete",
                "add_file",
                "link_distribution",
                "swap",
                "copy_in",
                "touch",
                "make_link",
                "rewrite_target",
            ]
        )
        if how == "swap":
            other = rng.choice(present)
            return {"how": how, "one": old["directory"], "other": other["directory"], "restore": restore}
        if how == "copy_in":
            to = self.a_distribution(fresh=True)["directory"]
            return {"how": how, "directory": old["directory"], "to": to, "restore": restore}
        if how == "link_distribution":
            return {"how": how, "directory": old["directory"]}
        if how == "touch":
            path = rng.choice([path, old["directory"], ""])
            return {"how": how, "path": path, "when": rng.choice([0, 10**9, 1_600_000_000 * 10**9])}
        return {"how": how, "path": path, "text": text, "restore": restore}

    def tool(self, active=()):
        rng = self.rng
        by = "refresh" if self.kept == "own" else rng.choice(["trigger", "trigger", "rpm"])
        if rng.random() < 0.6 or (self.kept == "system" and self.installers):
            return ["tool", by, None, []]
        steps = []
        for number in active:
            if rng.random() < 0.7:
                steps.append(["go", number, rng.choice([1, 2, 4, 8])])
        return ["tool", by, rng.choice([100, 300, 600, 1000, 1500, 2500, 4000]), steps + self.reads()]

    # --- what is asked ---

    def reads(self, active=()):
        rng = self.rng
        return [self.read(active) for _ in range(rng.choice([1, 2, 3, 4]))]

    def read(self, active=()):
        rng = self.rng
        overlap = {}
        if active and rng.random() < 0.45:
            for _ in range(rng.choice([1, 1, 2, 3])):
                happening = ["go", rng.choice(active), rng.choice([1, 1, 2, 3, 6])]
                if rng.random() < 0.15:
                    happening = ["read", rng.randrange(len(self.readers)), self.question(), {}]
                overlap.setdefault(str(rng.choice([1, 2, 3, 3, 4, 4, 5, 6, 8, 11, 15])), []).append(happening)
        return ["read", rng.randrange(len(self.readers)), self.question(), overlap]

    def stale_reads(self):
        return [
            ["stale", self.rng.randrange(len(self.readers)), self.question(), self.rng.randint(1, 8)]
            for _ in range(3)
        ] + self.reads()

    def question(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.55:
            return ["entry_points", rng.choice(GROUPS)]
        if kind < 0.7:
            return ["entry_points", None]
        if kind < 0.83:
            return ["version", rng.choice(contents.NAMES)]
        return [rng.choice(["distributions", "packages_distributions"])]
