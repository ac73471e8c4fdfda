"""Synthetic site directories: of any size, the same on every run, and similar to real ones.

Seven distributions of ten are a ``.dist-info``, two an ``.egg-info`` directory, one an ``.egg-info``
file. METADATA has 2 to 50 KB (evenly in the logarithm: many are short, and few are long) and is
ASCII, but for some 0.2 % of the bytes of three in ten (28 % of 298 real ones had such bytes, that
many). A third of all distributions have an ``entry_points.txt``. Of the ``.dist-info``, four in ten
have no ``top_level.txt`` (40 of 94 real ones), so that the importable names follow from RECORD. Two in
three are packages of 2 to 60 files, the others a module.
"""

import hashlib
import os
import random

SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ka",
    "le",
    "mi",
    "no",
    "pu",
    "ra",
    "se",
    "ti",
    "vo",
    "xu",
    "za",
    "fla",
    "gri",
    "sto",
    "tre",
]
PLUGIN_GROUPS = ["pytest11", *(f"{a}{b}.plugins" for a in SYLLABLES[:8] for b in SYLLABLES[8:13])]
LICENSE = "Permission is hereby granted, free of charge, to any person obtaining a copy of it.\n" * 12


class Distribution:
    """One distribution of a site directory: its names and its content."""

    def __init__(self, number, random_numbers):
        words = ["".join(random_numbers.choices(SYLLABLES, k=2)) for _ in range(random_numbers.randint(1, 3))]
        self.project = "-".join([*words, str(number)])
        self.module = self.project.replace("-", "_")
        self.version = "{}.{}.{}".format(*(random_numbers.randrange(20) for _ in range(3)))
        self.kind = random_numbers.choices(["dist-info", "egg-info", "egg-info file"], [7, 2, 1])[0]
        self.directory = f"{self.module}-{self.version}.{self.kind.split()[0]}"
        self.metadata = _metadata(self, random_numbers)
        # A generator of their own, so that they leave the other choices as they are.
        of_modules = random.Random(self.project)
        self.modules = [f"{self.module}.py"]
        if of_modules.random() < 2 / 3:
            count = int(2 * 30 ** of_modules.random())
            self.modules = [f"{self.module}/{name}.py" for name in ["__init__", *map(str, range(count - 1))]]
        self.declares = self.kind != "dist-info" or of_modules.random() < 0.6
        self.entry_points = {}
        # An .egg-info file can't have entry points, so the others have more.
        if self.kind != "egg-info file" and random_numbers.random() < 10 / 27:
            self.entry_points = _entry_points(self, random_numbers)

    def files(self, release=0):
        """The names and contents of everything in the directory.

        Another release has the same names and lengths, like a rebuilt package.
        """
        build = hashlib.sha256(f"{self.project} {release}".encode()).hexdigest()[:12]
        files = {"METADATA" if self.kind == "dist-info" else "PKG-INFO": self.metadata}
        if self.entry_points:
            sections = []
            for group, entries in self.entry_points.items():
                lines = [f"{name} = {value.replace('BUILD', build)}\n" for name, value in entries]
                sections.append(f"[{group}]\n{''.join(lines)}")
            files["entry_points.txt"] = "\n".join(sections)
        if self.declares:
            files["top_level.txt"] = self.module + "\n"
        if self.kind == "dist-info":
            files["INSTALLER"] = "pip\n"
            files["LICENSE"] = LICENSE
            files["WHEEL"] = f"Wheel-Version: 1.0\nGenerator: {build}\nTag: py3-none-any\n"
            digest = hashlib.sha256(self.metadata.encode()).hexdigest()
            sizes = {
                **dict.fromkeys(self.modules, 1234),
                **{f"{self.directory}/{n}": len(t) for n, t in files.items()},
            }
            records = [f"{name},sha256={digest[:43]},{size}\n" for name, size in sizes.items()]
            files["RECORD"] = f"{''.join(records)}{self.directory}/RECORD,,\n"
        else:
            files["SOURCES.txt"] = "".join(f"{name}\n" for name in ["setup.py", *self.modules])
            files["dependency_links.txt"] = "\n"
            # The file that pip wrote last in older versions.
            files["installed-files.txt"] = "".join(f"../{name}\n" for name in self.modules)
        return files


def _prose(share_beyond_ascii):
    random_numbers = random.Random("prose")
    words = [
        "".join(random_numbers.choices(SYLLABLES, k=random_numbers.randint(1, 4))) for _ in range(20_000)
    ]
    for place in range(0, len(words), 11):
        words[place] += "\n"
    for place in random_numbers.sample(range(len(words)), int(len(words) * share_beyond_ascii)):
        words[place] += " \N{EM DASH}"
    return " ".join(words)


PROSE = _prose(0)
PROSE_BEYOND_ASCII = _prose(0.005)


def _metadata(distribution, random_numbers):
    size = int(2000 * 25 ** random_numbers.random())
    requirements = "".join(f"Requires-Dist: {word}>=1\n" for word in random_numbers.sample(SYLLABLES, 6))
    classifiers = "".join(f"Classifier: Topic :: {a} :: {b}\n" for a, b in zip(SYLLABLES, SYLLABLES[5:]))
    headers = (
        "Metadata-Version: 2.1\n"
        f"Name: {distribution.project}\nVersion: {distribution.version}\n"
        f"Summary: The {distribution.project} that one needs\n"
        f"Author-email: Somebody <somebody@example.org>\nLicense: MIT\n{classifiers}{requirements}"
        "Requires-Python: >=3.9\nDescription-Content-Type: text/markdown\n\n"
    )
    prose = PROSE_BEYOND_ASCII if random_numbers.random() < 0.3 else PROSE
    start = random_numbers.randrange(len(prose) - size)
    return headers + prose[start : start + size - len(headers)]


def _entry_points(distribution, random_numbers):
    value = distribution.module + ".{}:run_BUILD"
    groups = {}
    if random_numbers.random() < 0.7:
        count = random_numbers.choice([1, 1, 1, 2, 4])
        groups["console_scripts"] = [
            (f"{distribution.project}-{n}", value.format("cli")) for n in range(count)
        ]
    if not groups or random_numbers.random() < 0.3:
        # By Zipf's law: few groups have many plugins, most have few.
        weights = [1 / rank for rank, _ in enumerate(PLUGIN_GROUPS, 1)]
        group = random_numbers.choices(PLUGIN_GROUPS, weights)[0]
        names = random_numbers.sample(SYLLABLES, random_numbers.choice([1, 1, 1, 2, 3, 6]))
        groups[group] = [
            (name, value.format(name) + random_numbers.choice(["", "", "[extra]"])) for name in names
        ]
    return groups


def distributions(count):
    """The distributions of a site directory of that size."""
    random_numbers = random.Random(count)
    return [Distribution(number, random_numbers) for number in range(count)]


def make(site, contents):
    """Write a site directory."""
    os.makedirs(site)
    for distribution in contents:
        # For a package, one file suffices to derive the importable name.
        module = f"{site}/{distribution.modules[0]}"
        os.makedirs(os.path.dirname(module), exist_ok=True)
        _write(module, f'"""{distribution.project}"""\n')
        base = f"{site}/{distribution.directory}"
        if distribution.kind == "egg-info file":
            _write(base, distribution.metadata)
            continue
        os.mkdir(base)
        for name, text in distribution.files().items():
            _write(f"{base}/{name}", text)


def add(site, contents):
    """Write distributions into a site directory that is there."""
    made = f"{site}.made"
    make(made, contents)
    for name in os.listdir(made):
        os.rename(f"{made}/{name}", f"{site}/{name}")
    os.rmdir(made)


def replace(site, distribution, release):
    """Install another release over a distribution, as dpkg does: write beside each file, rename."""
    base = f"{site}/{distribution.directory}"
    files = distribution.files(release)
    for name, text in files.items():
        _write(f"{base}/{name}.dpkg-new", text)
    for name in files:
        os.rename(f"{base}/{name}.dpkg-new", f"{base}/{name}")


def _write(path, text):
    with open(path, "wb") as file:
        file.write(text.encode())
