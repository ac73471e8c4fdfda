"""Readers in a loop beside an installer; see upgrade_reader.py, which asks and judges."""

import concurrent.futures
import json
import pathlib
import shutil
import time

QUESTIONS = pathlib.Path(__file__).with_name("upgrade_reader.py")
# What the installer changes, and what lies beside it.
NAMES = ["moving", "still"]


def check_beside(work, run, python, site, index, directory, inside=None, delay=0.2):
    """Call `work` while programs ask for what is in the site directory; check that all answers are right, and not few.

    `run` runs a command and returns its output, and `python` begins that of an interpreter. `directory` is for the
    files of this function; commands see it as `inside`. Each step that `work` makes lasts `delay` seconds or longer.
    """
    inside = inside or directory
    ready, stop = directory / "ready", directory / "stop"
    for file in (ready, stop):
        file.unlink(missing_ok=True)
    shutil.copy(QUESTIONS, directory)
    command = [*python, f"{inside}/{QUESTIONS.name}", site, index, f"{inside}/ready", f"{inside}/stop", delay]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reader = pool.submit(run, *command, *NAMES)
        try:
            while not ready.exists():
                assert not reader.done(), reader.result()
                time.sleep(0.02)
            work()
        finally:
            stop.touch()
        answers = json.loads(reader.result())
    assert answers["wrong"] == [], answers["wrong"]
    kept, at_start = answers["judged"][:5], answers["judged"][5:]
    # On a busy machine, few programs start and answer within a step.
    assert min(kept) > 0 and sum(at_start) > 0 and sum(kept) > 30 and answers["states"] > 8, answers
