"""A wheel brings a registered hook, which runs whatever installs, upgrades or removes other distributions."""

from support import wheels
from support.environments import uv

REGISTRATION = """
description = "Record changes"
python = "recorder:changed"

[on]
groups = ["probe"]

[sandbox]
write = ["cache"]
"""
MODULE = """
import os, sys

def changed(changes):
    with open(os.path.join(os.environ["EPCACHE_CACHE"], "log"), "a") as log:
        for change in changes:
            print(change.event, change.distribution, change.version, sys.prefix, file=log)
"""


def test_a_hook_of_a_wheel_runs_after_pip_and_uv(newest):
    environment = newest.hooked
    files = {
        "recorder/__init__.py": MODULE,
        "recorder-1.0.data/data/share/epcache/hooks.d/recorder.toml": REGISTRATION,
    }
    wheel = wheels.make(newest.wheels, "recorder", "1.0", leave_out=["entry_points.txt"], **files)

    def run(*command):
        status, output, complaint = environment.call(*command)
        assert (status, complaint) == (0, ""), (output, complaint)

    def pip(*arguments):
        run(environment.python, "-m", "pip", *arguments)

    pip("install", "--no-index", wheel)
    log = environment.site / ".epcache/hook-cache/recorder/log"
    first, second = [wheels.make(newest.wheels, "sample", version) for version in ("1.0", "2.0")]
    pip("install", "--no-index", first)
    assert not log.exists(), "it is not enabled"
    run(environment.program, "enable", "--pip-hook", "--hooks", environment.site)
    run(environment.program, "hooks", "run", "--site", environment.site)
    pip("install", "--no-index", second)
    pip("uninstall", "--yes", "sample")
    uv_command = [uv(), "pip", "install", "--quiet", "--python", environment.python, first]
    run(environment.program, "run", environment.site, "--", *uv_command)
    events = ["added sample 1.0", "updated sample 2.0", "removed sample None", "added sample 1.0"]
    assert log.read_text().splitlines() == [f"{event} {environment.directory}" for event in events]
