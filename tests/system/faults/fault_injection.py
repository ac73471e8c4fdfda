"""One fault at one system call of a command, by strace.

A *point* is the n-th call of one kind in one process: the first process, or the unprivileged child that it
forks. strace counts calls for each process alone, and applies its injections in each. To reach a call of
the child that the first process makes as often, strace is attached only when the first process is about to
fork: another strace stops it there.
"""

import os
import pathlib
import re
import signal
import subprocess
import time
from dataclasses import dataclass

from support.checkout import release_program

LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
# Earlier calls are made by the loader, the C library and the runtime.
MAIN = {"trigger": "close_range", "refresh": "umask"}
FORKS = {"clone", "clone3", "fork", "vfork"}
PATIENCE = 30

PATH = "EIO EACCES ENOMEM"
CHANGE = "EIO ENOSPC EACCES EROFS ENOMEM"
# By call, the possible errors among EIO, ENOSPC, EACCES, EROFS, EMFILE, EINTR, ENOMEM. At other calls, and
# at `futex`, the process is only killed.
ERRORS = {
    **dict.fromkeys(["open", "openat", "openat2"], "EIO EACCES EMFILE EINTR ENOMEM"),
    **dict.fromkeys(["stat", "lstat", "newfstatat", "statx", "readlink", "readlinkat", "access"], PATH),
    **dict.fromkeys(["fstat", "getdents64"], "EIO ENOMEM"),
    **dict.fromkeys(["statfs", "fstatfs"], "EIO EINTR ENOMEM"),
    **dict.fromkeys(["read", "pread64"], "EIO EINTR ENOMEM"),
    **dict.fromkeys(["recvfrom", "recvmsg"], "EINTR ENOMEM"),
    **dict.fromkeys(["write", "writev"], "EIO ENOSPC EINTR ENOMEM"),
    **dict.fromkeys(["sendto", "sendmsg", "connect"], "EACCES EINTR ENOMEM"),
    "close": "EIO ENOSPC EINTR",
    **dict.fromkeys(["mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2"], CHANGE),
    **dict.fromkeys(["chmod", "fchmod", "fchmodat", "fchown", "utimensat", "ftruncate"], CHANGE),
    "flock": "EINTR ENOMEM",
    "fcntl": "EACCES EMFILE EINTR",
    **dict.fromkeys(["mmap", "brk", "mprotect", "mremap", "sigaltstack"], "ENOMEM"),
    **dict.fromkeys(FORKS, "ENOMEM"),
    **dict.fromkeys(["socket", "socketpair", "pipe2", "dup", "dup3"], "EMFILE ENOMEM EACCES"),
    **dict.fromkeys(["setgroups", "setresuid", "setresgid", "setuid", "getgroups"], "EACCES ENOMEM"),
    **dict.fromkeys(["capget", "capset", "prctl", "chdir", "prlimit64"], "EACCES"),
    **dict.fromkeys(
        ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"], "EACCES ENOMEM"
    ),
    **dict.fromkeys(["wait4", "waitid", "clock_nanosleep", "nanosleep", "poll", "getrandom"], "EINTR"),
}
WRITING = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|O_TRUNC")


@dataclass(frozen=True)
class Point:
    process: int  # 0: the first process
    call: str
    when: int  # the number of the call of this kind, from 1
    beyond: bool  # whether the first process makes fewer calls
    begun: bool  # whether `main` has been reached
    shown: str  # its arguments when it was recorded

    def faults(self):
        errors = ERRORS.get(self.call, "")
        if self.call.startswith("open") and WRITING.search(self.shown):
            errors += " ENOSPC EROFS"
        if self.call == "close" and "<socket:" in self.shown:
            # The kernel closes a socket whatever it returns. strace would keep it open, and the other
            # end would wait.
            errors = ""
        return [*errors.split(), "KILL"]

    def __str__(self):
        who = "the child" if self.process else "the process"
        return f"{who} at {self.call} number {self.when}: {self.call}({self.shown}"


def points(scene, directory):
    """All points, from a run of the command of a scene."""
    log = pathlib.Path(directory, "recorded")
    with scene.input() as listed:
        done = subprocess.run(
            ["strace", "-f", "-y", "-s", "40", "-o", log, release_program(), *scene.arguments],
            stdin=listed,
            capture_output=True,
            env=scene.variables,
            timeout=PATIENCE,
            **scene.identity(),
        )
    assert done.returncode == 0, done
    return parse(log.read_text(), MAIN[scene.arguments[0]])


def parse(log, main):
    processes = []
    calls = []
    begun = False
    for line in log.splitlines():
        found = LINE.match(line)
        if not found or " resumed>" in line:
            continue
        process, call, rest = found.groups()
        if process not in processes:
            processes.append(process)
        begun = begun or call == main
        if call != "execve":
            calls.append((processes.index(process), call, rest[:90], begun))
    assert begun and len(processes) <= 2, log
    first = [call for process, call, _, _ in calls if process == 0]
    counted = {}
    for process, call, shown, begun in calls:
        when = counted[process, call] = counted.get((process, call), 0) + 1
        yield Point(process, call, when, when > first.count(call), begun, shown)


class NotAttached(Exception):
    """The fault could not be injected."""


@dataclass
class Outcome:
    """The result of the command."""

    status: int  # as of subprocess: negative for a signal
    output: str
    hits: int  # how many injections of the fault took place


def run_with_fault(scene, point, fault, directory):
    """Run the command of a scene with one fault."""
    log = pathlib.Path(directory, "outcome")
    log.unlink(missing_ok=True)
    what = "signal=KILL" if fault == "KILL" else f"error={fault}"
    inject = ["-e", f"trace={point.call}", "-e", f"inject={point.call}:{what}:when={point.when}", "-o", log]
    if point.process and not point.beyond:
        try:
            status, output = _attached(scene, inject, directory)
        except NotAttached:
            return Outcome(0, "", 0)
    else:
        options = ["-f"] if point.process else []
        command = ["strace", *options, *inject, release_program(), *scene.arguments]
        status, output = _finished(scene, _start(scene, command))
    text = log.read_text() if log.exists() else ""
    return Outcome(status, output, text.count("(INJECTED)") + text.count("+++ killed by SIGKILL +++"))


def _start(scene, command):
    with scene.input() as listed:
        return subprocess.Popen(
            list(map(str, command)),
            stdin=listed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=scene.variables,
            **scene.identity(),
        )


def _finished(scene, process):
    """Wait for the end of the process and of everything that it has left running."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"{scene.arguments}: hung") from None
    return process.returncode, output


def _attached(scene, inject, directory):
    """The same with strace attached just before the command forks."""
    waiting = ["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", release_program(), *scene.arguments]
    process = _start(scene, waiting)
    log = pathlib.Path(directory, "attached")
    try:
        _until(lambda: _is_stopped(process.pid))
        stopping = ["-e", "trace=socketpair", "-e", "inject=socketpair:signal=STOP:when=1"]
        first = _attach(process.pid, ["-o", log, *stopping])
        os.kill(process.pid, signal.SIGCONT)
        _until(lambda: "stopped by SIGSTOP" in log.read_text().partition("socketpair(")[2])
        first.terminate()
        try:
            first.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            # On a busy machine strace may wait for ever for a process that it has stopped itself.
            first.kill()
            first.wait()
            raise NotAttached from None
        _until(lambda: _is_stopped(process.pid))
        second = _attach(process.pid, ["-f", *inject])
        os.kill(process.pid, signal.SIGCONT)
        status, output = _finished(scene, process)
        second.wait(PATIENCE)
    except BaseException:
        process.kill()
        raise
    return status, output


def _attach(pid, options):
    tracer = subprocess.Popen(
        ["strace", *map(str, options), "-p", str(pid)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    line = tracer.stderr.readline()
    assert "attached" in line, line
    return tracer


def _is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _until(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.001)
