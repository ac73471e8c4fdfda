"""Fifty writers and fifty readers of one virtual environment and one system-wide directory, while pip, uv
and a package manager change them.

Answers are checked against the recorded changes, see `change_log`.
"""

import functools
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

from support import wheels
from support.checkout import release_program
from support.environments import uv
from support.interpreters import INTERPRETERS, READER

from . import answer_check, machine
from .change_log import PIP_S, SYSTEM_S, UV_S, ChangeLog, points, versions
from .package_manager import SharedLock, erase, unpack

WRITERS = 50
READERS = 50
FRESH = 8  # readers that start a new process for each query
# The readers and writers pause for installers, which would make no progress otherwise.
FIRST = ["nice", "-n", "-10"]
PATIENCE = 60


class Crowd:
    """All concurrent activities. The package manager's directory comes second."""

    def __init__(self, directory, seed):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(mode=0o755)
        self.seed = seed
        self.variables = machine.environment(
            UV_CACHE_DIR=f"{directory}/uv", PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONDONTWRITEBYTECODE="1"
        )
        self.wheels = self.directory / "wheels"
        self.wheels.mkdir()
        for package in (*PIP_S, *UV_S):
            for version in versions(package):
                wheels.make(self.wheels, package, version, modules=3)
        self.environment = self.directory / "environment"
        self.run(INTERPRETERS["3.12"], "-m", "venv", self.environment)
        (self.site,) = self.environment.glob("lib/python3.*/site-packages")
        self.system_site = self.directory / "system/dist-packages"
        self.system_site.mkdir(parents=True)
        machine.configure([str(self.system_site)])
        self.change_logs = {"venv": ChangeLog([*PIP_S, *UV_S]), "system": ChangeLog(SYSTEM_S)}
        self.installing = threading.Event()
        self.writing = threading.Event()
        self.package_manager = SharedLock()
        self.problems = []
        self.counts = {"pip": 0, "uv": 0, "packages": 0, "written": 0, "killed": 0}

    def run(self, *command, **options):
        command = list(map(str, command))
        options = {"env": self.variables, "timeout": PATIENCE, "stdin": subprocess.DEVNULL, **options}
        done = subprocess.run(command, capture_output=True, text=True, **options)
        if done.returncode:
            raise RuntimeError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    # --- changes of the directories

    def install(self, rng, name, packages, install, uninstall):
        change_log = self.change_logs["venv"]
        while self.installing.is_set():
            package = rng.choice(packages)
            there = bool(change_log.now[package])
            if there and rng.random() < 0.4:
                change_log.change(package, functools.partial(self.run, *uninstall, package), frozenset())
            else:
                version = rng.choice(versions(package))
                wanted = f"{package}=={version}"
                change_log.change(
                    package, functools.partial(self.run, *install, wanted), points(package, version)
                )
            self.counts[name] += 1
            time.sleep(rng.choice([0, 0, 0.05, 0.5]))

    def pip(self, rng):
        pip = [*FIRST, self.environment / "bin/python", "-m", "pip", "--quiet"]
        found = ["--no-index", f"--find-links={self.wheels}", "--no-deps", "--root-user-action=ignore"]
        self.install(rng, "pip", PIP_S, [*pip, "install", *found], [*pip, "uninstall", "--yes", found[-1]])

    def uv(self, rng):
        pip = [*FIRST, uv(), "pip"]
        there = ["--quiet", "--python", self.environment / "bin/python"]
        found = ["--no-index", f"--find-links={self.wheels}", "--no-deps", "--offline"]
        self.install(rng, "uv", UV_S, [*pip, "install", *there, *found], [*pip, "uninstall", *there])

    def packages(self, rng):
        """A package manager that installs, erases and rebuilds, and then runs the trigger."""
        change_log = self.change_logs["system"]
        while self.installing.is_set():
            package = rng.choice(SYSTEM_S)
            there = bool(change_log.now[package])
            version = rng.choice(versions(package))
            erased = there and rng.random() < 0.2

            def transaction(package=package, version=version, erased=erased):
                with self.package_manager.alone():
                    erase(self.system_site, package) if erased else unpack(self.system_site, package, version)
                with self.package_manager.together():
                    self.trigger()

            change_log.change(package, transaction, frozenset() if erased else points(package, version))
            self.counts["packages"] += 1
            time.sleep(rng.choice([0, 0, 0.02, 0.2]))

    # --- writers of indexes

    def trigger(self):
        done = self.run(release_program(), "trigger", "rpm")
        if "error" in done.stderr:
            raise RuntimeError(f"the trigger printed: {done.stderr}")

    def write(self, rng):
        choices = [
            ["refresh", self.site],
            ["refresh", "--venv", self.environment],
            ["refresh", "--full", self.site],
            ["refresh", "--system"],
            ["refresh", "--system", self.site],
            ["trigger", "rpm"],
        ]
        while self.writing.is_set():
            if self.installing.is_set() and int(time.monotonic()) % 4 == 0:
                # For one second in four nobody writes, and all indexes become old.
                time.sleep(0.1)
                continue
            chosen = rng.choice(choices)
            if chosen[0] == "trigger":
                with self.package_manager.together():
                    self.trigger()
            elif self.installing.is_set() and rng.random() < 0.05:
                self.killed(chosen, rng)
                continue
            else:
                done = self.run(release_program(), *chosen)
                if "error" in done.stderr:
                    raise RuntimeError(f"{chosen}: {done.stderr}")
            self.counts["written"] += 1
            time.sleep(rng.random() * 0.3)

    def killed(self, arguments, rng):
        """A writer that is killed at a random moment, alone or with its child."""
        process = subprocess.Popen(
            list(map(str, [release_program(), *arguments])),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.variables,
            start_new_session=True,
        )
        time.sleep(rng.random() * 0.03)
        if rng.random() < 0.5:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        self.counts["killed"] += 1

    # --- readers

    def reader(self, number, once=False):
        """The command of a reader, and the file for its answers."""
        where = "system" if number % 5 == 0 else "venv"
        site = self.system_site if where == "system" else self.site
        version = list(INTERPRETERS)[number % len(INTERPRETERS)]
        role = "accelerated" if number % 3 == 0 else "own"
        script = pathlib.Path(__file__).with_name("crowd_reader.py")
        answer_file = self.directory / f"reader-{where}-{number}"
        arguments = [READER, role, site, answer_file, self.directory / "stop", number, int(once)]
        return [INTERPRETERS[version], "-S", "-E", "-B", script, *arguments]

    def read_afresh(self, number):
        rng = random.Random(number)
        while self.writing.is_set():
            self.run(*self.reader(number, once=True))
            time.sleep(rng.random() * 0.2)

    # --- everything

    def guarded(self, function, *arguments):
        def run():
            try:
                function(*arguments)
            except BaseException as error:
                self.problems.append(f"{function.__name__}: {type(error).__name__}: {error}")

        return threading.Thread(target=run)

    def happen(self, seconds):
        """Run everything; returns the problems, and the numbers to report."""
        os.nice(10)
        self.installing.set()
        self.writing.set()
        chance = [random.Random(f"{self.seed} {number}") for number in range(WRITERS + 3)]
        installers = [
            self.guarded(how, rng) for how, rng in zip((self.pip, self.uv, self.packages), chance[WRITERS:])
        ]
        others = [self.guarded(self.write, rng) for rng in chance[:WRITERS]]
        others += [self.guarded(self.read_afresh, number) for number in range(FRESH)]
        readers = [
            subprocess.Popen(
                list(map(str, self.reader(number))), env=self.variables, stderr=subprocess.PIPE, text=True
            )
            for number in range(FRESH, READERS)
        ]
        for thread in [*installers, *others]:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.problems:
            time.sleep(0.1)
        self.installing.clear()
        join(installers, self.problems)
        time.sleep(1)  # every writer may run once more, without knowledge of the end
        self.writing.clear()
        join(others, self.problems)
        time.sleep(0.5)
        (self.directory / "stop").touch()
        for process in readers:
            _, output = process.communicate(timeout=PATIENCE)
            if process.returncode:
                self.problems.append(f"a reader: {output[-2000:]}")

    def check_answers(self):
        """The number of answers, the number of those without concurrent changes, and the wrong ones."""
        checked, exact, wrong = 0, 0, []
        for file in self.directory.glob("reader-*"):
            change_log = self.change_logs[file.name.split("-")[1]]
            for line in file.read_text().splitlines():
                why, was_exact = change_log.check(json.loads(line))
                checked += 1
                exact += was_exact
                if why:
                    wrong.append(f"{file.name}: {why}: {line}")
        return checked, exact, wrong

    def left(self):
        """The problems after the end, without any cleaning up."""
        wrong = []
        inspector = answer_check.AnswerCheck()
        for site in (self.site, self.system_site):
            for line in self.run(
                release_program(), "refresh", "--dry-run", "--json", site
            ).stdout.splitlines():
                report = json.loads(line)
                changes = {key: report[key] for key in ("added", "updated", "removed") if report[key]}
                if changes:
                    wrong.append(f"an update is lost: {site}: {changes}")
            [(word, reason)] = answer_check.states(site)
            if word not in ("fresh", "unsettled"):
                wrong.append(f"{site}: {word}: {reason}")
            if inspector.wrong(site):
                wrong.append(f"{site}: {inspector.wrong(site)}")
            self.run(release_program(), "refresh", site)
        inspector.close()
        for directory in (self.site / ".epcache", pathlib.Path(f"{machine.CACHE}{self.system_site}")):
            others = set(os.listdir(directory)) - {"index", "lock"}
            wrong += [f"left: {directory}/{name}" for name in others]
        return wrong


def join(threads, problems):
    for thread in threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            problems.append("a thread waits for ever")
