"""The actions of programs started by a package manager, read from strace.

    system.run(*trace.command("/trace"), "rpm", "-U", "x.rpm")
    for run in trace.runs(system.path("/trace"), "/usr/bin/epcache"):
        assert not run.privileged_accesses([SITE])

The trace is one file a process (`strace -ff`), so that no call is split by another's.
Paths are those that the traced programs see.
"""

import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

# %file has every call that takes a path; the others determine the user of the process.
CALLS = "%file,%process,%creds,fchown,fchmod"

CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\w+|\?)(.*)$")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
# A directory descriptor as `strace -y` shows it, followed by the path relative to it.
RELATIVE = re.compile(r'(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>(?:\(deleted\))?, "((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(r"^\d+<((?:[^>\\]|\\.)*)>")
IDENTITIES = re.compile(r"-?\d+")

# Calls that look at a name without opening or changing anything.
LOOKING = {
    "stat",
    "lstat",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "statfs",
}
# How the parent makes an old index stale: by the times of the site directory itself.
STAMPING = {"utimensat"}
FORKING = {"fork", "vfork", "clone", "clone3"}


def command(directory):
    """The beginning of a command line that writes a trace to `directory`, which is created."""
    script = 'mkdir -p "$0" && exec strace -ff -y -s 4096 --seccomp-bpf -f -e signal=none -e "trace=$1" -o "$0/of" -- "${@:2}"'
    return ["bash", "-c", script, str(directory), CALLS]


def unescaped(text):
    """The path that strace prints as `text`, in C notation."""
    raw = re.sub(
        rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)",
        lambda found: _character(found.group(1)),
        text.encode("latin-1", "backslashreplace"),
    )
    return raw.decode("utf-8", "surrogateescape")


def _character(code):
    if code[:1].isdigit():
        return bytes([int(code, 8)])
    if code[:1] == b"x" and len(code) == 3:
        return bytes([int(code[1:], 16)])
    return {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}.get(code, code)


@dataclass
class Call:
    name: str
    arguments: str
    result: str
    rest: str = ""

    @property
    def succeeded(self):
        return not self.result.startswith("-") and self.result != "?"

    def paths(self):
        """Every path that the call names, absolute where strace prints it so."""
        relative = [
            posixpath.normpath(posixpath.join(*map(unescaped, pair)))
            for pair in RELATIVE.findall(self.arguments)
        ]
        if relative:
            return relative
        about = DESCRIPTOR.match(self.arguments)
        if about:
            return [unescaped(about.group(1))]
        return [unescaped(text) for text in TEXT.findall(self.arguments)[:2]]

    @property
    def opens_file(self):
        """Whether this opens something other than a directory (or a mere handle)."""
        return self.name in {"open", "openat", "openat2", "creat"} and not re.search(
            "O_(DIRECTORY|PATH)", self.arguments
        )


@dataclass
class Identity:
    """The steps of giving up root that a process has taken."""

    groups: bool = False
    gid: bool = False
    uid: bool = False
    capabilities: bool = False
    no_new_privileges: bool = False

    @property
    def dropped(self):
        """Whether no privilege is left."""
        return self.groups and self.gid and self.uid and self.capabilities and self.no_new_privileges

    def after(self, call):
        state = Identity(**vars(self))
        numbers = [int(number) for number in IDENTITIES.findall(call.arguments)]
        if call.name == "setgroups":
            state.groups = not re.search(r"\[(.*\b)?0\b", call.arguments)
        elif call.name == "setresgid":
            state.gid = len(set(numbers)) == 1 and min(numbers) > 0
        elif call.name == "setresuid":
            state.uid = len(set(numbers)) == 1 and min(numbers) > 0
        elif call.name == "capset":
            state.capabilities = (
                len(re.findall(r"(?:effective|permitted|inheritable)=0\b(?!x)", call.arguments)) == 3
            )
        elif call.name == "prctl" and re.match(r"PR_SET_NO_NEW_PRIVS, 1\b", call.arguments):
            state.no_new_privileges = True
        elif call.name in {"setuid", "setgid", "setreuid", "setregid", "setfsuid", "setfsgid"}:
            return Identity()
        return state


@dataclass
class Run:
    """One program that was executed, with the children it forked."""

    argv: list
    calls: list = field(default_factory=list)  # pairs of a Call and the caller's Identity

    def privileged_accesses(self, directories):
        """Calls by which a process that could still be root opened or changed something
        in, or below, one of `directories`."""
        return [
            call
            for call, identity in self.calls
            if not identity.dropped
            and call.name not in LOOKING | STAMPING
            # What is opened so can be looked at, and neither read nor changed.
            and "O_PATH" not in call.arguments
            and not (call.name == "execve" or call.name in FORKING)
            and any(below(path, directory) for path in call.paths() for directory in directories)
        ]

    def opened(self, directory):
        """Paths, relative to `directory`, of the files below it that were opened."""
        return {
            posixpath.relpath(path, directory)
            for call, _ in self.calls
            if call.opens_file
            for path in call.paths()
            if below(path, directory) and path != directory
        }

    def replaced(self, path):
        """Whether a process without privileges put a new file at `path` by a rename."""
        return any(
            call.succeeded
            and call.name.startswith("rename")
            and identity.dropped
            and call.paths()[-1] == path
            for call, identity in self.calls
        )


def below(path, directory):
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def calls(file, root=""):
    """The calls in one process's trace, in order."""
    prefix = re.compile(f"<{re.escape(root)}(?=/)|<{re.escape(root)}(?=>)")
    for line in file.read_text(encoding="latin-1").split("\n"):
        if root:
            line = prefix.sub("<", line).replace("<>,", "</>,")
        found = CALL.match(line)
        if found:
            yield Call(*found.groups())


def runs(directory, program, root=""):
    """The runs of `program` in the trace in `directory`, each with its children.

    `root` is the root of the traced programs on the machine: the kernel includes it in the paths of
    processes in a mount namespace of their own.
    """
    processes = {int(file.suffix[1:]): list(calls(file, root)) for file in Path(directory).glob("of.*")}
    assert processes, f"{directory}: no trace"
    found = []
    started = {
        int(call.result): pid
        for pid, made in processes.items()
        for call in made
        if call.name in FORKING and call.succeeded
    }
    for pid in sorted(processes):
        if pid not in started:
            _walk(processes, pid, Identity(), None, program, found)
    return found


def _walk(processes, pid, identity, run, program, found):
    for call in processes.get(pid, []):
        if call.name == "execve" and call.succeeded:
            texts = [unescaped(text) for text in TEXT.findall(call.arguments)]
            run = None
            if texts[0] == program:
                run = Run(texts[1:])
                found.append(run)
        elif call.succeeded:
            identity = identity.after(call)
        if run:
            run.calls.append((call, identity))
        if call.name in FORKING and call.succeeded:
            _walk(processes, int(call.result), identity, run, program, found)
