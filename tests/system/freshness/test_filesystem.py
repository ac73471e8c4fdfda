"""The tests' own file system has the properties that the histories need."""

import json
import subprocess
import sys

import pytest
from support.checkout import module_variables

# Runs in its own mount namespace. Arguments: the place, the settings, the code.
WITHIN = """
import errno, fcntl, json, os, subprocess, sys, time
from system.freshness import filesystems
filesystems.begin(sys.argv[1])
place = filesystems.pathlib.Path(sys.argv[1], "own")
os.makedirs(place)
try:
    own = filesystems.Fuse("fuse", place, **json.loads(sys.argv[2])).mount()
except filesystems.Unavailable as why:
    print(json.dumps({"unavailable": str(why)}))
    sys.exit()
top = own.top
epcache = sys.argv[3]
def write(name, text="x"):
    with open(top / name, "w") as file:
        file.write(text)
    return top / name
def stamps(path):
    found = os.stat(path)
    return [found.st_mtime_ns, found.st_ctime_ns]
"""


@pytest.fixture
def on(tmp_path, epcache):
    """A function that runs code on the file system with some settings; returns the code's `result`."""

    def on(code, **settings):
        script = WITHIN + code + "\nprint(json.dumps(result))\nown.unmount()\n"
        command = [sys.executable, "-c", script, tmp_path, json.dumps(settings), epcache]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=module_variables(), timeout=100
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        if isinstance(result, dict) and "unavailable" in result:
            pytest.skip(result["unavailable"])
        return result

    return on


def test_stamps_have_the_configured_granularity(on):
    result = on("result = stamps(write('a'))", granule=2 * 10**9)
    assert all(stamp and stamp % (2 * 10**9) == 0 for stamp in result)


def test_a_file_system_without_stamps(on):
    assert on("path = write('a'); os.utime(path); result = stamps(path)", zero=True) == [0, 0]


def test_its_clock_can_be_set_for_later_changes(on):
    code = "a = stamps(write('a')); own.set(shift=-3600 * 10**9); result = a, stamps(write('b')), stamps(top / 'a')"
    before, after, again = on(code)
    assert 3590 * 10**9 < before[1] - after[1] < 3610 * 10**9
    assert again == before


def test_attributes_are_cached_and_changes_of_another_machine_are_not_seen(on):
    code = """
path = write('a', 'one')
os.stat(path)
with open(own.behind / 'a', 'w') as file:
    file.write('three')
at_once, read = os.stat(path).st_size, open(path).read()
time.sleep(1.1)
result = at_once, read, os.stat(path).st_size
"""
    # As on NFS: opening the file shows its new content, its stamp may be outdated.
    assert on(code, remembered=1)[1:] == ["three", 5]


def test_requests_fail_the_configured_number_of_times(on):
    code = """
path = write('a')
own.set(stale=50, stale_for=os.getpid())
try:
    os.stat(path)
    result = "no error"
except OSError as error:
    result = errno.errorcode[error.errno]
own.set(stale=0)
os.stat(path)
"""
    assert on(code) == "ESTALE"


LOCK = """
import threading
path = write('lock')
file = open(path, 'w')
def ask():
    global got
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        got = "granted"
    except OSError as error:
        got = errno.errorcode[error.errno]
got = "nothing"
"""


def test_locks_are_refused(on):
    assert on(LOCK + "ask(); result = got", locks="refuse") == "ENOLCK"


HANGING = """
site = top / 'site'
os.makedirs(site / 'foo-1.dist-info')
write('site/foo-1.dist-info/METADATA', 'Name: foo\\nVersion: 1\\n')
child = os.fork()
if not child:
    fcntl.flock(open(write('lock'), 'w'), fcntl.LOCK_EX)
    os._exit(0)
time.sleep(0.3)
hangs = os.waitpid(child, os.WNOHANG)[0] == 0
os.kill(child, 9)
begin = time.monotonic()
done = subprocess.run([epcache, 'refresh', site], capture_output=True)
result = hangs, done.returncode, time.monotonic() - begin, own.set()['locks'], (site / '.epcache/index').exists()
os.waitpid(child, 0)
"""


def test_a_hanging_lock_causes_no_delay(on):
    hangs, status, seconds, locks, is_there = on(HANGING, locks="hang")
    assert hangs, "the lock of the control was granted"
    assert (status, is_there) == (0, True)
    assert locks == 1, "the tool asked for a lock as well"
    assert seconds < 2
