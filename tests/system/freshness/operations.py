"""Changes of a site directory besides the installers in `edits` and the manual changes in `meddling`.

Generators as there, or functions. Starting another program is one step: it can't be stopped here.
"""

import os
import re
import shutil
import subprocess

from support.simulation import edits, meddling, records
from support.simulation.edits import PACKAGED, encoded, packaged

QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
SUFFIX = ";6b0258b1"  # the suffix that rpm adds to the names of new files
SECOND = 10**9


def rpm_install(site, distribution, old=None, owns_site=False, **_):
    """rpm: all new files beside their places with the times of the package, then all renamed, then the old
    package's files and directories removed."""
    base = os.path.join(site, distribution["directory"])
    files = distribution["files"]
    if "" in files:
        yield from edits.distro_install(site, distribution, owns_site)
        return
    if not os.path.isdir(base):
        edits.remove(base)
        os.mkdir(base, 0o700)
        packaged(base, PACKAGED)
        os.chmod(base, 0o755)
    made = []
    for name in sorted(files):
        path = os.path.join(base, name)
        with edits.open(path + SUFFIX, "wb") as file:
            file.write(encoded(files[name]))
        packaged(path + SUFFIX, PACKAGED)
        made.append(path)
        yield
    if owns_site:
        packaged(site, PACKAGED)
    for path in made:
        os.rename(path + SUFFIX, path)
        yield
    if old is not None:
        gone = os.path.join(site, old["directory"])
        if "" in old["files"]:
            edits.remove(gone)
        kept = set(files) if old["directory"] == distribution["directory"] else set()
        for name in sorted(set(old["files"]) - kept - {""}):
            if os.path.lexists(os.path.join(gone, name)):
                os.unlink(os.path.join(gone, name))
                yield
        if gone != base and os.path.isdir(gone):
            os.rmdir(gone)
    yield


def rpm_remove(site, distribution, **_):
    """rpm: file by file, then the directory."""
    base = os.path.join(site, distribution["directory"])
    if not os.path.isdir(base):
        edits.remove(base)
        return
    for name in sorted(os.listdir(base), reverse=True):
        os.unlink(os.path.join(base, name))
        yield
    os.rmdir(base)
    yield


def prepared(site, distribution, when=None):
    """A distribution in a directory beside the site directory, as a source to copy from."""
    source = f"{site}.source"
    edits.remove(source)
    for _ in edits.pip_install(source, {**distribution, "modules": {}}):
        pass
    if when is not None:
        base = os.path.join(source, distribution["directory"])
        for path in [*(os.path.join(base, name) for name in os.listdir(base)), base]:
            packaged(path, when)
    return source


def copied(site, distribution, by, when=None, **_):
    """`cp -a` or `rsync -a` of a distribution over the existing files."""
    source = prepared(site, distribution, when)
    yield
    if by == "cp":
        subprocess.run(
            ["cp", "-a", "--", f"{source}/{distribution['directory']}", f"{site}/"], check=False, **QUIET
        )
    else:
        subprocess.run(["rsync", "-a", f"{source}/", f"{site}/"], check=False, **QUIET)
    yield
    edits.remove(source)


def assembled(site, distribution, order, record, by, **_):
    """Installers of any kind: the files in any order, RECORD at any time, perhaps twice or with wrong hashes."""
    base = os.path.join(site, distribution["directory"])
    if "" in distribution["files"]:
        yield from edits.pip_install(site, distribution)
        return
    texts = {**distribution["files"], "INSTALLER": "assembled\n"}
    right = {"RECORD": records.of_installation(distribution, "INSTALLER")} if "RECORD" in texts else {}
    texts.update(right)
    again = {}
    if right and record == "twice":
        texts["RECORD"], again = records.of_wheel(distribution), right
    elif right and record == "wrong":
        wrong = records.of_installation(distribution, "INSTALLER", text_of=lambda text: text + "x")
        texts["RECORD"], again = wrong, right
    elif right and record == "without hashes":
        texts["RECORD"] = re.sub(r"sha256=[\w-]+", "", right["RECORD"])
    order = [name for name in order if name in texts or name == "modules"]
    if right and record in ("first", "late"):
        order.sort(key=lambda name: (name == "RECORD") == (record == "late"))
    edits.remove(base)
    os.makedirs(base)
    yield
    for name, text in [*((name, texts.get(name)) for name in order), *again.items()]:
        if text is None:
            for path, content in edits.modules_of(site, distribution):
                edits.put(path, content)
        else:
            placed(os.path.join(base, name), text, by)
        yield


def placed(path, text, by):
    """A file of a distribution: written, copied in blocks with its times, or a link to another one."""
    if by == "copying":
        edits.put_in_pieces(path, edits.blocks(text, 512))
        packaged(path, PACKAGED)
    elif by == "linking":
        source = os.path.join(f"{os.path.dirname(os.path.dirname(path))}.links", os.path.basename(path))
        edits.put(source, text)
        edits.remove(path)
        os.link(source, path)
        os.unlink(source)
    else:
        edits.put_in_pieces(path, edits.whole_lines(text, 8000))


def checked_out(site, path, text, **_):
    """`git checkout` of another version of one file."""
    repository = f"{site}.git"
    git = [
        "git",
        f"--git-dir={repository}",
        f"--work-tree={site}",
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x",
    ]
    if not os.path.isfile(os.path.join(site, path)):
        return
    target = os.path.join(f"{site}.checkout", path)
    edits.put(target, text)
    subprocess.run(["git", "init", "-q", "--bare", repository], check=True, **QUIET)
    elsewhere = [*git[:2], f"--work-tree={site}.checkout", *git[3:]]
    for part in (["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*elsewhere, *part], check=False, **QUIET)
    yield
    subprocess.run([*git, "checkout", "-q", "-f", "HEAD", "--", path], check=False, **QUIET)
    yield
    edits.remove(repository)
    edits.remove(f"{site}.checkout")


def layered(site, truncated=True, **_):
    """The whole site directory unpacked again from an image: times in whole seconds, other inodes."""
    new, old = f"{site}.new", f"{site}.old"
    edits.remove(new)
    edits.remove(old)
    subprocess.run(["cp", "-a", "--", site, new], check=False, **QUIET)
    if truncated:
        for parent, directories, files in os.walk(new, topdown=False):
            for path in [*(os.path.join(parent, name) for name in directories + files), parent]:
                mtime = os.lstat(path).st_mtime_ns // SECOND * SECOND
                os.utime(path, ns=(mtime, mtime), follow_symlinks=False)
    yield
    os.rename(site, old)
    yield
    os.rename(new, site)
    yield
    shutil.rmtree(old, ignore_errors=True)


def linked(site, distribution, **_):
    """The site directory becomes a link: to itself under another name, or to a different directory."""
    real = f"{site}.real"
    if os.path.islink(site):
        other = f"{site}.other"
        edits.remove(other)
        shutil.copytree(site, other, symlinks=True)
        for _step in edits.pip_install(other, distribution):
            pass
        os.symlink(other, f"{site}.link")
        yield
        os.replace(f"{site}.link", site)
        yield
        return
    edits.remove(real)
    os.rename(site, real)
    yield
    os.symlink(os.path.basename(real), site)
    yield


def set_back(site, path, **_):
    """The mtime of the site directory, or of a file in it, is set one hour back."""
    path = os.path.join(site, path) if path else site
    if os.path.lexists(path):
        when = os.lstat(path).st_mtime_ns - 3600 * SECOND
        os.utime(path, ns=(when, when), follow_symlinks=False)
    yield


OWN = {
    function.__name__: function
    for function in (rpm_install, rpm_remove, copied, assembled, checked_out, layered, linked, set_back)
}


def function_of(how):
    """The operation of that name."""
    return OWN.get(how) or getattr(edits, how, None) or getattr(meddling, how)
