"""Generates a history from a seed: everything that is done and asked, as data.

A history names the site directories and who updates their indexes (`sites`), the distributions that were
installed long before (`initial`), and `steps`: edits, index writes, changes of `sys.path`, questions.
Nothing is decided while it is played, so a history without some of its steps can be played as well.
"""

import random

from support.simulation import contents

from .questions import a_question

ODD_PATHS = [
    "{root}/missing",
    "{root}/file.txt",
    "{root}",
    "{root}/z.zip",
    "{root}/z.zip/",
    "{root}/foo-1.0-py3.12.egg",
    "{root}/bar-1.0.egg",
    "{root}/zipped-2.0-py3.11.egg",
    "",
    ".",
]
SPELLINGS = ["{root}/s/{site}"] * 12 + [
    "{root}/s/{site}/",
    "{root}/s//{site}",
    "{root}/s/../s/{site}",
    "{root}/link/{site}",
    "s/{site}",
    "./s/{site}",
    "../s/{site}",
]
TEXTS = [
    "entry_points.txt",
    "METADATA",
    "PKG-INFO",
    "top_level.txt",
    "RECORD",
    "SOURCES.txt",
    "installed-files.txt",
]


def a_history(seed, python, proof=None):
    """The history of a seed, for one interpreter; `proof` says which is tested: "site" or "strict"."""
    rng = random.Random(seed)
    strict = rng.random() < 0.5 if proof is None else proof == "strict"
    return _Author(rng, strict, python).write(seed)


class _Author:
    def __init__(self, rng, strict, python):
        self.rng = rng
        self.strict = strict
        self.python = python
        self.odd = rng.choice([0, 0, 0.05, 0.15, 0.4])
        self.sites = {
            name: rng.choice(["own", "own", "own", "system", "system", "user"])
            for name in "abc"[: rng.choice([1, 2, 2, 3])]
        }
        self.installed = {name: [] for name in self.sites}
        self.moved = 0

    def write(self, seed):
        rng = self.rng
        sites = dict(self.sites)
        initial = []
        for site, kept in self.sites.items():
            for _ in range(rng.choice([0, 1, 2, 3, 4, 5, 8])):
                how = "distro_install" if kept == "system" else rng.choice(["pip_install", "uv_install"])
                initial.append(self.install(site, how))
        steps = []
        if rng.random() < 0.4:
            steps.append(self.zip_file())
        if rng.random() < 0.25:
            steps.append(self.egg())
        # In 3.9 distributions of other finders have no names, and their entry points no distribution.
        if rng.random() < 0.15 and self.python != "3.9":
            steps.append({"do": "finder", "site": rng.choice(list(self.sites)), "first": rng.random() < 0.5})
        steps += [self.index(site) for site in self.sites if rng.random() < 0.85]
        steps += [self.path(), self.ask()]
        for _ in range(rng.randint(3, 8)):
            steps += self.something()
            steps.append(self.ask())
        return {
            "seed": seed,
            "python": self.python,
            "strict": self.strict,
            "sites": sites,
            "initial": initial,
            "steps": steps,
        }

    def something(self):
        """One to three steps between two questions."""
        rng = self.rng
        site = rng.choice(list(self.sites))
        kind = rng.random()
        if kind < 0.16:
            return [self.index(site)]
        if kind < 0.26:
            return [self.path()]
        if kind < 0.30:
            return [
                {
                    "do": "chdir",
                    "to": rng.choice(["{root}", "{root}/s", *(f"{{root}}/s/{name}" for name in self.sites)]),
                }
            ]
        if kind < 0.33:
            return [self.move(site), self.path()]
        if kind < 0.36:
            return [rng.choice([self.zip_file, self.egg])()]
        if kind < 0.39:
            return [{"do": "keep"}, *self.transaction(site), {"do": "ask", "questions": [["kept"]]}]
        if kind < 0.42:
            return [self.edit("copy_all", site, when=rng.choice([None, 0, 1_600_000_000]))]
        if self.strict and kind < 0.72:
            return [self.meddle(site)]
        return self.transaction(site)

    def transaction(self, site):
        """The steps of an installer, and the trigger or refresh at its end."""
        rng = self.rng
        present = self.installed[site]
        if self.sites[site] == "system" and rng.random() < 0.8:
            if present and rng.random() < 0.6:
                old = rng.choice(present)
                if rng.random() < 0.3:
                    step = self.edit("distro_remove", site, distribution=old)
                    present.remove(old)
                else:
                    new = self.a_distribution(self.odd)
                    new["directory"] = old["directory"]
                    step = self.edit("distro_install", site, distribution=new, owns_site=rng.random() < 0.3)
                    present[present.index(old)] = new
            else:
                step = self.install(site, "distro_install")
            # Without its trigger, a package manager does not maintain what the site proof needs.
            return (
                [step]
                if self.strict and rng.random() < 0.3
                else [step, {"do": "index", "by": "trigger", "site": site}]
            )
        if rng.random() < 0.1:
            name = rng.choice(["note.txt", "foo.pth", "__pycache__/x.pyc"])
            how = rng.choice(["put_file", "remove_file"])
            return [self.edit(how, site, name=name)]
        if not present or rng.random() < 0.4:
            how = rng.choice(
                ["pip_install"] * 3 + ["uv_install"] * 3 + ["installer_install", "unpack", "leave_empty"]
            )
            return [self.install(site, how)]
        old = rng.choice(present)
        if rng.random() < 0.45:
            present.remove(old)
            return [self.edit(rng.choice(["pip_uninstall", "uv_uninstall"]), site, distribution=old)]
        new = old if rng.random() < 0.3 else self.a_distribution(self.odd)
        if rng.random() < 0.4:
            # The same version again, with other contents.
            new = {**new, "directory": old["directory"]}
        present[present.index(old)] = new
        how = rng.choice(["pip_upgrade", "uv_upgrade"])
        return [self.edit(how, site, distribution=old, new=new)]

    def a_distribution(self, odd):
        found = contents.a_distribution(self.rng, odd)
        if self.python == "3.9":
            # 3.9 does not read it, so there `epcache` gives names from it only by an index.
            found["files"].pop("installed-files.txt", None)
        return found

    def install(self, site, how):
        distribution = self.a_distribution(self.odd)
        same = [other for other in self.installed[site] if other["directory"] == distribution["directory"]]
        for other in same:
            self.installed[site].remove(other)
        self.installed[site].append(distribution)
        return self.edit(how, site, distribution=distribution)

    def edit(self, how, site, **what):
        rng = self.rng
        step = {"do": "edit", "how": how, "site": site, **what}
        if rng.random() < 0.3:
            step["pauses"] = {str(rng.randint(1, 8)): self.questions() for _ in range(rng.randint(1, 2))}
        if (
            how in ("pip_install", "uv_install", "installer_install", "pip_upgrade", "uv_upgrade")
            and rng.random() < 0.35
        ):
            step["refreshed"] = rng.randint(1, 6)
        if how.startswith("pip") and rng.random() < 0.12:
            step["killed"] = rng.randint(1, 8)
        return step

    def meddle(self, site):
        rng = self.rng
        present = self.installed[site] or [self.a_distribution(self.odd)]
        one, other = rng.choice(present), rng.choice(present)
        fresh = self.a_distribution(self.odd)
        file = rng.choice([name for name in one["files"] if name] or TEXTS)
        if rng.random() < 0.25:
            file = rng.choice(TEXTS)
        path = f"{one['directory']}/{file}" if one["files"].keys() != {""} else one["directory"]
        text = fresh["files"].get(file) or rng.choice(contents.ODD_ENTRY_POINTS)
        how = rng.choice(
            ["rewrite_in_place"] * 3
            + ["replace_by_rename"] * 2
            + [
                "add_file",
                "delete",
                "delete_module",
                "delete_module",
                "make_directory",
                "make_link",
                "rewrite_target",
            ]
            + ["link_distribution", "swap", "copy_in", "touch", "rewrite_same_size"]
        )
        restore = rng.random() < 0.6
        if how == "rewrite_same_size":
            # Where the old text is known: change one letter and keep the size.
            how, text = (
                "rewrite_in_place",
                one["files"].get(file, "").replace("m:f", "n:f").replace("foo", "fog"),
            )
        if how == "delete_module":
            if not one["modules"]:
                how = "delete"
            else:
                module = rng.choice(sorted(one["modules"]))
                return self.edit("delete", site, path=module, restore=restore)
        if how == "swap":
            return self.edit(how, site, one=one["directory"], other=other["directory"], restore=restore)
        if how == "copy_in":
            return self.edit(how, site, directory=one["directory"], to=fresh["directory"], restore=restore)
        if how == "link_distribution":
            return self.edit(how, site, directory=one["directory"])
        if how == "touch":
            path = rng.choice([path, one["directory"], ""])
            return self.edit(how, site, path=path, when=rng.choice([0, 10**9, 1_600_000_000 * 10**9]))
        return self.edit(how, site, path=path, text=text, restore=restore)

    def index(self, site):
        rng = self.rng
        kept = self.sites[site]
        if rng.random() < 0.06:
            return {"do": "index", "by": "forgotten", "site": site}
        if kept == "system":
            return {"do": "index", "by": "trigger", "site": site}
        if kept == "user":
            return {"do": "index", "by": "user", "site": site}
        return {"do": "index", "by": rng.choice(["refresh"] * 3 + ["writer", "contents"]), "site": site}

    def move(self, site):
        self.moved += 1
        to = f"moved{self.moved}"
        self.sites = {to if name == site else name: kept for name, kept in self.sites.items()}
        self.installed[to] = self.installed.pop(site)
        return {"do": "move", "site": site, "to": to}

    def path(self):
        rng = self.rng
        entries = [rng.choice(SPELLINGS).replace("{site}", site) for site in self.sites]
        rng.shuffle(entries)
        if rng.random() < 0.15:
            entries.insert(rng.randint(0, len(entries)), rng.choice(entries))
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            entries.insert(rng.randint(0, len(entries)), rng.choice(ODD_PATHS))
        # 3.9 ignores bytes, later versions raise TypeError, and `epcache` on 3.9 must choose one.
        if rng.random() < 0.02 and self.python != "3.9":
            entries.append(rng.choice(["bytes:{root}/s/a", "Path:{root}/s/a"]))
        return {"do": "path", "entries": entries, "stdlib": rng.choice(["first", "last", "last"])}

    def zip_file(self):
        rng = self.rng
        found = [self.a_distribution(self.odd / 2) for _ in range(rng.randint(0, 3))]
        return {"do": "zip", "name": rng.choice(["z.zip", "zipped-2.0-py3.11.egg"]), "distributions": found}

    def egg(self):
        rng = self.rng
        found = self.a_distribution(self.odd)
        name = rng.choice(["foo-1.0-py3.12.egg", "bar-1.0.egg"])
        return {
            "do": "egg",
            "name": name,
            "inside": rng.choice(["EGG-INFO", "EGG-INFO", "egg-info"]),
            "files": found["files"],
        }

    def questions(self):
        return [a_question(self.rng) for _ in range(self.rng.choice([1, 1, 2, 3]))]

    def ask(self):
        return {"do": "ask", "questions": self.questions()}
