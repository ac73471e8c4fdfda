#!/usr/bin/env python3
"""Writes what the packages say about the crates in vendor/: their authors, licences and versions.

    crates.py [--check]
    crates.py --without FILE

`debian/copyright` names the copyright holders and the licence of every crate, as all of them are in the source
package. `rpm/epcache.spec` names the crates that are linked into the program. Both are written between two markers;
with --check nothing is written, and the exit status is 1 if they are out of date.

--without removes the crates from FILE, a copy of `debian/copyright`, and the texts of licences that only they have:
for a source package without vendor/.
"""

import re
import subprocess
import sys
from pathlib import Path

import tomllib

TOP = Path(__file__).resolve().parent.parent
BEGIN, END = "# Crates: written by `make crates`.\n", "# End of the crates.\n"
# The program has the same crates on each of these, but for one or two.
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "riscv64gc-unknown-linux-gnu"]

# Copyright notices: "Copyright (c) 2014-2015, The Authors.", "Copyright: 2017 Somebody", "Copyrights in ... project".
YEARS = r"\[?\d{4}\]?(?:\s*(?:-|–|--|,)\s*(?:\d{4}|present))*"
NOTICE = re.compile(rf"(?i:copyright)\s*:?\s*((?i:\(c\))|©|ⓒ)?\s*({YEARS})?[,.]?\s*(.*)")
RETAINED = re.compile(r"Copyrights in the `?([\w-]+)`? project are retained by their contributors")
# A holder without year and sign: two words of a name, not the beginning of a sentence or a heading.
NAME = re.compile(r"(?:The )?[A-Z][\w.'-]+ (?:[A-Z][a-z]|contributors\b)")
# What follows a name in the same line.
REST = re.compile(
    r"(?i)\s*(?:see the copyright.*|all rights reserved.*|\[?`?licen[sc]ed .*|and licensed .*|\*/)$"
)
# The forms to fill in at the end of the Apache License.
FORM = re.compile(r"yyyy|<year>|name of copyright owner|\{|Copyright License\.")

LICENCE = re.compile(r"(?i)licen[sc]e|copy")


def main():
    if sys.argv[1:2] == ["--without"]:
        path = Path(sys.argv[2])
        path.write_text(without_crates(path.read_text()))
        return
    check = sys.argv[1:] == ["--check"]
    if not (TOP / "vendor").is_dir():
        sys.exit("vendor: no such directory; hint: make vendor")
    out_of_date = []
    for name, text in {"debian/copyright": debian_copyright(), "rpm/epcache.spec": rpm_spec()}.items():
        path = TOP / name
        before = path.read_text()
        head, _, rest = before.partition(BEGIN)
        _, _, tail = rest.partition(END)
        after = head + BEGIN + text + END + tail
        for licence in (
            re.findall(r"^License: (.+)", text, re.MULTILINE) if name == "debian/copyright" else []
        ):
            for one in names(licence):
                if f"\nLicense: {one}\n " not in tail:
                    sys.exit(f"{name}: no text of the licence {one}")
        if after != before:
            out_of_date.append(name)
            if not check:
                path.write_text(after)
    if check and out_of_date:
        sys.exit(f"{', '.join(out_of_date)}: out of date; hint: make crates")


def names(licence):
    """The licences in what a paragraph of debian/copyright calls its licence."""
    return re.split(r" or |, and ", licence)


def without_crates(text):
    """The text of debian/copyright for a source package without crates."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    used = {one for licence in re.findall(r"^License: (.+)", head, re.MULTILINE) for one in names(licence)}
    texts = [
        one
        for one in tail.strip("\n").split("\n\n")
        if one.partition("\n")[0].removeprefix("License: ") in used
    ]
    return head + "\n\n".join(texts) + "\n"


def debian_copyright():
    """The paragraphs of all crates."""
    paragraphs = []
    for directory in sorted((TOP / "vendor").iterdir()):
        if not directory.is_dir():
            continue
        package = tomllib.loads((directory / "Cargo.toml").read_text())["package"]
        name = f"vendor/{directory.name}"
        paragraphs.append(paragraph(f"{name}/*", holders(directory, package), dep5(spdx(package["license"]))))
    return "\n".join(paragraphs) + "\n"


def paragraph(files, owners, licence):
    return f"Files: {files}\nCopyright: {f'{chr(10)}           '.join(owners)}\nLicense: {licence}\n"


def holders(directory, package):
    """The copyright holders of a crate: those in its files, and its authors.

    A notice in its code alone may be about code that was taken from elsewhere.
    """
    texts = (".rs", ".md", ".txt", ".toml", ".c", ".h", ".S", "")
    files = [path for path in directory.rglob("*") if path.is_file() and path.suffix in texts]
    found = notices(files)
    named = " ".join(found)
    authors = [author for author in package.get("authors", []) if author.partition(" <")[0] not in named]
    licences = [path for path in files if path.parent == directory and LICENCE.match(path.name)]
    stated = package.get("authors") or notices(licences)
    return found + authors if stated else [*found, f"the contributors of {package['name']}"]


def notices(files):
    """The holders in the copyright notices of `files`, each with its years."""
    found = set()
    for path in files:
        if b"opyright" not in (data := path.read_bytes()):
            continue
        for line in data.decode("utf-8", "replace").splitlines():
            if retained := RETAINED.search(line):
                found.add(f"the contributors of {retained[1]}")
            elif (match := NOTICE.search(line)) and not FORM.search(match[0]):
                sign, years, holder = match.groups()
                holder = re.sub(r"\]\(.*|[\[\]`]", "", REST.sub("", holder)).strip(" .,;*/\"'")
                if holder and (
                    (years and holder[0].isalpha()) or (sign and holder[0].isupper()) or NAME.match(holder)
                ):
                    found.add(" ".join(filter(None, [(years or "").strip("[]").replace("--", "-"), holder])))
    # The same without a year adds nothing.
    dated = {re.sub(r"^[\d, -]+", "", holder) for holder in found if holder[0].isdigit()}
    return sorted(found - dated)


def dep5(expression):
    """An SPDX expression as debian/copyright writes it."""
    expression = expression.replace(" WITH LLVM-exception", " with LLVM exception")
    parts = [part.strip("() ") for part in expression.split(" AND ")]
    return ", and ".join(part.replace(" OR ", " or ") for part in parts)


def rpm_spec():
    """The licences of the program, ours first, and the crates that are linked into it."""
    linked = {}
    for target in TARGETS:
        tree = subprocess.run(
            ["cargo", "tree", "--locked", "--offline", "--config", "packaging/vendor.toml", "--target", target]
            + ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}|{l}"],
            cwd=TOP, check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
        for line in filter(None, tree.splitlines()):
            package, licence = line.split("|")
            name, version, *_ = package.split()
            linked[name, version.removeprefix("v").partition("+")[0]] = licence.removesuffix(" (*)")
    ours = linked.pop(next(key for key in linked if key[0] == "epcache"))
    licences = dict.fromkeys([ours, *sorted(map(spdx, linked.values()))])
    lines = ["License:        " + " AND ".join(f"({one})" if " OR " in one else one for one in licences)]
    lines += [f"Provides:       bundled(crate({name})) = {version}" for name, version in sorted(linked)]
    return "".join(f"{line}\n" for line in lines)


def spdx(expression):
    """The same expression in one spelling."""
    expression = expression.replace("/", " OR ")
    return "MIT OR Apache-2.0" if expression == "Apache-2.0 OR MIT" else expression


main()
