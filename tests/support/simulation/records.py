"""The lists of files: that of a wheel, and those that installers write.

A distribution with ``hashed`` gets lists with the hashes of its files, as all installers of wheels write them;
others get the text among their files. ``padding`` is a number of further lines, for lists that are written in
several pieces.
"""

import base64
import hashlib

LINE = 16  # bytes of a line of padding: a piece of 8 KiB ends with a line


def hash_of(text):
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def line(path, text):
    if any(char in path for char in ',"\n'):
        path = '"' + path.replace('"', '""') + '"'
    return f"{path},{hash_of(text)},{len(text)}\n"


def metadata_of(distribution):
    return {
        f"{distribution['directory']}/{name}": text
        for name, text in distribution["files"].items()
        if name != "RECORD"
    }


def of_wheel(distribution):
    """Modules that the installer is to move, then the metadata, then the list itself; no INSTALLER."""
    if not distribution.get("hashed"):
        return distribution["files"]["RECORD"]
    directory = distribution["directory"]
    data = directory.removesuffix(".dist-info") + ".data/purelib"
    modules = {f"{data}/{path}": text for path, text in distribution["modules"].items()}
    listed = {**modules, **metadata_of(distribution)}
    lines = [line(path, text) for path, text in listed.items()]
    return "".join(lines) + f"{directory}/RECORD,,\n"


def of_installation(distribution, *added, text_of=lambda text: text):
    """What an installer writes at the end, sorted; `added` are the names of its own files."""
    if not distribution.get("hashed"):
        return distribution["files"]["RECORD"]
    directory = distribution["directory"]
    listed = {**distribution["modules"], **metadata_of(distribution)}
    lines = [line(path, text_of(text)) for path, text in listed.items()]
    lines += [f"{directory}/{name},,\n" for name in ("RECORD", *added)]
    lines += [f"pad{number:06}.txt,,\n"[-LINE:] for number in range(distribution.get("padding", 0))]
    lines.sort()
    if distribution.get("padding"):
        before = sum(len(one) for one in lines if one < "pad")
        lines.insert(0, "+" * (LINE - (before + 3) % LINE) + ",,\n")
    return "".join(lines)
