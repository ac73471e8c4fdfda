"""Random distributions, as data: the files that an installer would write.

A distribution is a dictionary: ``directory`` (its name in the site directory), ``files`` (those of
its metadata; for a distribution that is a single file the one called ``""``), ``modules`` (those beside
it), and perhaps ``hashed`` (see `records`). Bytes that are not UTF-8 are spelled as `os.fsdecode` does.

The pools are small, so that names coincide: duplicates, shadowed distributions and groups with several
distributions are common. Most of the content is what packages look like; the rest is malformed.
"""

import re

NAMES = ["foo", "Foo", "foo_bar", "foo.bar", "bar", "baz", "qux", "zope.interface", "café", "x y", "a%41b"]
VERSIONS = ["1.0", "1.1", "2.0"]
GROUPS = ["g", "console_scripts", "pytest11", "a.b.c"]
ENTRY_NAMES = ["a", "b", "main", "dotted.name", "é"]
VALUES = ["m:f", "foo.bar:main", "m", "m:f [x, y]", "m:C.method", "café:f"]

# Values that 3.9 reads differently from later versions, and values that no version reads well.
ODD_ENTRY_POINTS = [
    "",
    "\n",
    "# nothing\n",
    "[g]\r\na = m:f\r\n",
    "[g]\na = m:f\n[g]\nb = m:f\n",
    "[g]\na = m:f\na = m:h\n",
    "x = y:z\n[g]\na = m:f\n",
    "[g]\n = m:f\n",
    "[g]\na = m:f\n  [h]\n  b = m:f\n",
    "[g]\na =\n",
    "[[g]]\na = m:f\n",
    "[g] x\n[h]\na = m:f\n",
    "[]\na = m:f\n",
    "[ g ]\na = m:f\n",
    "\ufeff[g]\na = m:f\n[h]\nb = m:f\n",
    "[g]\na = m:f\x0cb = m:h\n",
    "[g]\na = m:f\x1cb = m:h\n",
    "[g]\na = m:f\x85b = m:h\u2028c = m:i\n",
    "[g]\na = m:%(f)s\n",
    "[DEFAULT]\nq = m:d\n[g]\na = m:f\n",
    "[g]\na = m:f # c\nb = m:f=g\nc = in-valid\nd = a:b ; hi\n",
    "[g]\nA = m:f\na = m:g\n[G]\na = m:h\n",
    "[g]\n\xa0a\xa0=\xa0m:f\xa0\n",
    "[g]\na = m\0f\n",
    "[g]\na = m\tf\nb\tc = m:f\n",
    "[g\th]\na = m:f\n",
    "[g]\na : b = m:f\n",
    "[g]\na = m:f",
    "[g%]\n%41 = m:f\n",
]
BROKEN_ENTRY_POINTS = ["[g]\nnoeq\n", "[g]\n; c\na = m:f\n", "[g]\na = \udcff\n", "[g]\na : m\n"]

ODD_METADATA = [
    "",
    "\nName: {name}\nVersion: {version}\n",
    "\ufeffName: {name}\nVersion: {version}\n",
    "Name : {name}\nVersion: {version}\n",
    "Name: {name}\n",
    "Version: {version}\n",
    "Name:{name}\nVERSION: {version}\n",
    "name: {name}  \nVersion:\n {version}\n",
    "Name: {name}\nName: other\nVersion: {version}\nVersion: 9\n",
    "Name: {name}\nSummary: a\n        b\n    c\nVersion: {version}\n",
    "From me\nName: {name}\nVersion: {version}\n",
    "Name: {name}\nbroken\nVersion: {version}\n",
    "Name: {name}\r\nVersion: {version}\r\n\r\nbody\r\n",
    "Name: =?utf-8?q?x?=\nVersion: {version}\n\n\nbody\n",
    "Name: {name}\nVersion: {version}\x85\x0b\n",
    "Name: \nVersion: {version}\n",
    "Name: {name}\nVersion: {version}\nSummary: \udcff\n",
    "Name: {name}\tz\nVersion: {version}\t1\n",
    "Name: {name}\0\nVersion: {version}\n",
    "Name: Other_Name\nVersion: 7\n",
]
ODD_DIRECTORIES = [
    ".dist-info",
    "-1.dist-info",
    ".egg-info",
    "Foo-1.DIST-INFO",
    "bar.Egg-Info",
    "~oo-1.0.dist-info",
    "-oo-1.0.dist-info",
    "foo-bar-1.dist-info",
    "f\udcff-1.dist-info",
    "tab\tbed-1.dist-info",
    "new\nline-1.dist-info",
    "..dist-info",
    "fo%6f-1.0.dist-info",
    "foo-1.0-py3.12.egg-info",
    "Ⅷ-1.dist-info",
]
MODULES = [
    ["{stem}/__init__.py", "{stem}/part.py"],
    ["{stem}.py", "__pycache__/{stem}.cpython-312.pyc"],
    ["ns/{stem}.py"],
    ["_{stem}.cpython-312-x86_64-linux-gnu.so", "{stem}.libs/libx.so"],
    ["{stem}/__init__.py", "{stem}.pth", "share/{stem}.txt"],
    ["shared/one.py", "shared.py"],
    ["{stem}-data/x.txt", "{stem}.pyc", "{stem}.abi3.so", "noext"],
    [],
]


def stem_of(name):
    """A name as installers spell it in a directory name."""
    return re.sub(r"[-_.]+", "_", name)


def a_distribution(rng, odd):
    """A random distribution; `odd` (0 to 1) is how often a part of it is unusual."""
    name, version = rng.choice(NAMES), rng.choice(VERSIONS)
    stem = stem_of(name) if rng.random() < 0.7 else name
    kind = rng.random()
    files, modules = {}, {}
    if kind < 0.62:
        directory = f"{stem}-{version}.dist-info"
    elif kind < 0.9:
        directory = f"{stem}{rng.choice([f'-{version}', f'-{version}-py3.11', ''])}.egg-info"
    else:
        directory = f"{stem}-{version}.dist-info"
    if rng.random() < odd / 3:
        directory = rng.choice(ODD_DIRECTORIES)
    text = metadata(rng, name, version, odd)
    if directory.endswith(".egg-info") and rng.random() < 0.35 or rng.random() < odd / 12:
        return {"directory": directory, "files": {"": text or ""}, "modules": {}}
    for module in rng.choice(MODULES):
        modules[module.format(stem=re.sub(r"\W", "_", stem))] = "x = 1\n"
    egg = directory.lower().endswith(".egg-info")
    if text is not None:
        files["PKG-INFO" if egg else "METADATA"] = text
    if rng.random() < 0.65:
        files["entry_points.txt"] = entry_points(rng, odd)
    if rng.random() < (0.7 if egg else 0.3):
        files["top_level.txt"] = top_level(rng, modules, odd)
    lists(rng, egg, directory, files, modules, odd)
    if egg and rng.random() < 0.3:
        files["requires.txt"] = rng.choice(
            ["six\n", "six>=1\n\n[test]\npytest\n", "\n[:python_version<'3']\nx\n"]
        )
    if any(module.startswith("ns/") for module in modules) and not names_ns(files):
        # A shared file would be removed with another distribution, which the model can't know.
        unique = re.sub(r"\W", "_", directory)
        modules = {"ns/" + unique + ".py": "x = 1\n"}
        for file in FILE_LISTS & files.keys():
            files[file] = re.sub(r"ns/\w+\.py", f"ns/{unique}.py", files[file])
    found = {"directory": directory, "files": files, "modules": modules}
    if "RECORD" in files and rng.random() < 0.5:
        found["hashed"] = True
    return found


FILE_LISTS = {"RECORD", "SOURCES.txt", "installed-files.txt"}


def names_ns(files):
    """Whether the metadata names a directory that many distributions share."""
    declared = files.get("top_level.txt", "").split()
    return "ns" in declared or not declared and any("ns/" in files.get(file, "") for file in FILE_LISTS)


def metadata(rng, name, version, odd):
    """The text of METADATA or PKG-INFO; None where there is none."""
    if rng.random() < odd / 2:
        if rng.random() < 0.2:
            return None
        return rng.choice(ODD_METADATA).format(name=name, version=version)
    required = "".join(
        f"Requires-Dist: {other}\n" for other in ["six", "bar>=1; extra == 'x'"] if rng.random() < 0.3
    )
    body = "\nA description.\n" if rng.random() < 0.3 else ""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: s\n{required}{body}"


def entry_points(rng, odd):
    """The text of an entry_points.txt."""
    if rng.random() < odd / 6:
        return rng.choice(BROKEN_ENTRY_POINTS)
    if rng.random() < odd:
        return rng.choice(ODD_ENTRY_POINTS)
    text = ""
    for group in rng.sample(GROUPS, rng.randint(0, 3)):
        names = rng.sample(ENTRY_NAMES, rng.randint(1, 3))
        text += f"[{group}]\n" + "".join(f"{name} = {rng.choice(VALUES)}\n" for name in names) + "\n"
    return text


def top_level(rng, modules, odd):
    """The text of a top_level.txt."""
    names = sorted({re.split(r"[./]", module)[0] for module in modules})
    if rng.random() < odd:
        return rng.choice(
            ["", "\n", "foo\nfoo\n", "  foo  bar \n", "_x\n\nfoo", "é\u2003z\n", "a%41\tb\n", "\udcff\n"]
        )
    return "".join(f"{name}\n" for name in names)


def lists(rng, egg, directory, files, modules, odd):
    """Add the lists of files: RECORD, or those of setuptools."""
    listed = list(modules)
    if rng.random() < odd:
        listed += rng.sample(["gone/x.py", "gone.py", "foo/missing.py", "/etc/passwd", "../../../bin/foo", "a,b.py",
                              'q"q.py', "dotted.dir/x.py", "é/x.py", "sp ace/x.py", "./foo/x.py", "foo//x.py"], 2)  # fmt: skip
    if egg:
        if rng.random() < 0.5:
            files["SOURCES.txt"] = "".join(f"{path}\n" for path in ["setup.py", *listed])
        if rng.random() < 0.4:
            files["installed-files.txt"] = "".join(f"../{path}\n" for path in listed) + "PKG-INFO\n"
    elif rng.random() < 0.8:
        record = ""
        for path in listed + [f"{directory}/{file}" for file in [*files, "RECORD"]]:
            if any(char in path for char in ',"\n'):
                path = '"' + path.replace('"', '""') + '"'
            end = rng.choice([",,", ",sha256=MwaDCn2lDgbFdOVIEERSmEgGJGfErgNNPV5fs3QxM7U,6", ",sha256=x,"])
            record += (
                path + (end if rng.random() > odd / 4 else rng.choice(["", ",", "\n", ",,,x", ",x,1"])) + "\n"
            )
        files["RECORD"] = (
            record if rng.random() > odd / 4 else rng.choice(["", "\n", "\udcff,,\n", '"unclosed\n'])
        )
