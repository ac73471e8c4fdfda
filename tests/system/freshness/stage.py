"""The directories of one history, and runs of the tool on them, which a history may stop at any point."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

from support.messages import NOT_A_SITE
from support.simulation import edits
from support.simulation.world import World

PATIENCE = 60  # seconds
POLL = 0.003
# Messages of the tool about a directory that is being replaced or empty: then there is no index, or a stale one.
EXPECTED_MESSAGES = ("does not exist", "Stale file handle", "No such file or directory", NOT_A_SITE)


class Stage(World):
    """A `World` of support.simulation; `meanwhile` runs while the running tool is stopped."""

    def __init__(self, root, epcache, sites):
        super().__init__(root, epcache, {})
        self.sites = dict(sites)
        self.indexed = {name: set() for name in sites}
        for name in sites:
            os.makedirs(self.site(name), exist_ok=True)
        self.after = None
        self.meanwhile = None

    def run(self, *arguments, **variables):
        return self.run_program([self.epcache, *arguments], variables)

    def run_program(self, command, variables, given=""):
        environment = {"PATH": os.defpath, "HOME": self.at("home"), **variables}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        if self.meanwhile is not None:
            time.sleep(self.after / 1e6)
            signalled(process, signal.SIGSTOP)
            try:
                self.meanwhile()
            finally:
                signalled(process, signal.SIGCONT)
        output, errors = ended(process, given)
        if process.returncode and not any(why in errors for why in EXPECTED_MESSAGES):
            raise RuntimeError(f"{command}: status {process.returncode}\n{output}{errors}")
        return subprocess.CompletedProcess(command, 0, output, errors)

    def by_rpm(self, name, _site):
        """The trigger of rpm, which supports no other root than its own."""
        if not os.path.exists(self.at("epcache")):
            for path, to in libraries(self.epcache):
                to = self.at(to.lstrip("/"))
                os.makedirs(os.path.dirname(to), exist_ok=True)
                copied_once(self.root, path, to)
        self.put("usr/lib/epcache/config.toml", f'site-directories = ["/s/{name}"]\n')
        site = self.site(name)
        files = [
            f"/s/{name}/{directory}/{file}"
            for directory in os.listdir(site)
            if directory.endswith(("-info",)) and os.path.isdir(f"{site}/{directory}")
            for file in os.listdir(f"{site}/{directory}")
        ]
        done = self.run_program(
            [
                shutil.which("chroot", path=f"{os.defpath}:/usr/sbin:/sbin"),
                self.root,
                "/epcache",
                "trigger",
                "rpm",
            ],
            {},
            "".join(f"{file}\n" for file in files),
        )
        if "epcache: " in done.stderr.replace("epcache: warning: ", ""):
            raise RuntimeError(f"the trigger printed: {done.stderr}")

    def played(self, by, name, after=None, meanwhile=None):
        """A generator that runs the tool, and yields until it has ended.

        It is stopped after `after` microseconds, and `meanwhile` is called.
        """
        stopped, go_on = threading.Event(), threading.Event()
        raised = []

        def stop():
            stopped.set()
            go_on.wait()

        def run():
            try:
                getattr(self, f"by_{by}")(name, self.site(name))
            except BaseException as error:
                raised.append(error)
            stopped.set()

        self.after, self.meanwhile = after, stop if meanwhile else None
        thread = threading.Thread(target=run)
        thread.start()
        if meanwhile:
            stopped.wait()
            try:
                meanwhile()
            finally:
                go_on.set()
        while thread.is_alive():
            yield POLL
        if raised:
            raise raised[0]


def ended(process, given):
    """The output until it ends."""
    for _ in range(PATIENCE):
        try:
            return process.communicate(given, timeout=1)
        except subprocess.TimeoutExpired:
            given = None  # it has been given that already
            # A child that was being forked when the stop signal came may miss the signal to continue.
            signalled(process, signal.SIGCONT)
    signalled(process, signal.SIGKILL)
    raise RuntimeError(f"{process.args}: does not end")


def signalled(process, number):
    """Send a signal to the tool and to its child."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


_libraries = {}
_copies = {}


def libraries(program):
    """The files that the program needs in a tree: where they are, and where they have to be."""
    if program not in _libraries:
        output = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        paths = re.findall(r"(/\S+) \(0x", output)
        _libraries[program] = [(program, "/epcache"), *((path, path) for path in paths)]
    return _libraries[program]


def copied_once(root, path, to):
    """Copy a file to the file system that `root` is on, or link to the copy made before."""
    known = _copies.get((os.stat(root).st_dev, path))
    try:
        os.link(known or "", to)
        return
    except OSError:
        pass
    edits.remove(to)
    # By a separate program: a child that is being forked here must not hold the program open.
    subprocess.run(["cp", "--", path, to], check=True)
    keep = pathlib.Path(root).parent / f".copy-{os.path.basename(to)}"
    try:
        os.link(to, keep)
        _copies[os.stat(root).st_dev, path] = str(keep)
    except OSError:
        pass
