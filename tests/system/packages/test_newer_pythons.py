"""Python 3.14 and 3.15, of Debian sid: acceleration, the package's own functions, the cost of a start.

CPython 3.15 refuses entry points whose value is no object reference, prefers distributions that have
metadata, and executes .pth files in another way (PEP 829). Nothing here needs a network but making
the chroot.
"""

import json
import os
import shutil
import subprocess

import pytest
from support import index_reader, wheels
from support.checkout import release_program

from . import chroot
from .newer_environment import COST, Environment

VERSIONS = ["3.14", "3.15"]
PACKAGES = [
    "strace",
    "python3.14-venv",
    "python3.15-venv",
    "libpython3.14-testsuite",
    "libpython3.15-testsuite",
]
# The suites are there.
TESTS = {"PYTHONPATH": "/checkout/tests"}
MOUNTS = [("bind", chroot.CHECKOUT, "/checkout"), ("read-only", "", "/checkout")]
TOOL = "/usr/bin/epcache"

FINDERS = "import sys; print([getattr(finder, '__name__', '') for finder in sys.meta_path].count('epcache_startup'))"
MODULES = "import sys; print(sorted(set(sys.modules) - {'epcache_startup'}))"
ASKING = """
from importlib.metadata import entry_points, version
print([(point.name, point.value) for point in entry_points(group='g')], version('foo'))
"""
ANSWER = "[('foo', 'm:f')] 1"


@pytest.fixture(scope="module")
def system():
    if not os.environ.get("EPCACHE_BIN"):
        subprocess.run(["make", "--quiet", "build"], cwd=chroot.CHECKOUT, check=True)
    binary = release_program()
    with chroot.unpacked("sid", include=PACKAGES, update=False) as system:
        shutil.copy(binary, system.path(TOOL))
        for version in VERSIONS:
            Environment.make(system, version)
        yield system


@pytest.fixture(params=VERSIONS)
def environment(request, system):
    return Environment(system, request.param)


@pytest.mark.parametrize("version", VERSIONS)
def test_cpython_s_own_suite_passes_with_acceleration(system, version):
    modes = ["plain", "young", "settled", "changed", "strict"]
    command = ["python3.14", "-m", "system.packages.newer_suites", version, TOOL, *modes]
    found = json.loads(system.run(*command, mounts=MOUNTS, env=TESTS).stdout)
    assert [each["mode"] for each in found] == modes
    assert [each["wrong"] for each in found] == [[]] * len(modes)
    assert all(each["passed"] >= 80 for each in found)


def test_random_histories_match_the_plain_interpreter(system):
    # Some 75 of each version, with 1 to 3 site directories, by both kinds of functions.
    command = ["python3.14", "-m", "system.packages.newer_histories", "--epcache", TOOL]
    done = system.run(*command, "--count", "150", "--seed", "3140", mounts=MOUNTS, env=TESTS, check=False)
    assert done.returncode == 0 and "150 histories" in done.stdout, done.stdout[-6000:] + done.stderr[-3000:]


def test_an_enabled_interpreter_starts_with_one_finder_and_prints_nothing(environment):
    before = environment.starts(MODULES)
    assert environment.starts(FINDERS) == "0"
    environment.enable()
    for options in [[], ["-I"], ["-W", "error"], ["-X", "dev"], ["-b", "-W", "error", "-X", "dev"]]:
        assert environment.starts(FINDERS, *options) == "1"
        assert environment.starts(ASKING, *options) == ANSWER
    assert environment.starts(MODULES) == before


def test_an_enabled_interpreter_answers_from_the_index(environment):
    def read(opened):
        return [line for line in opened if "foo-1.dist-info" in line]

    opened, answer = environment.opened(ASKING)
    assert answer == ANSWER and any("entry_points.txt" in line for line in read(opened))
    environment.enable()
    opened, answer = environment.opened(ASKING)
    assert answer == ANSWER and any(".epcache/index" in line for line in opened)
    # Unsettled distributions are checked, but not read.
    assert not [line for line in read(opened) if "open" in line.partition("(")[0]]


def test_lazy_imports_are_accelerated(environment):
    if environment.version == "3.14":
        pytest.skip("3.14 has none")
    environment.enable()
    lazily = "lazy import importlib.metadata\nlazy from importlib.metadata import version\n"
    lazily += "print([p.value for p in importlib.metadata.entry_points(group='g')], version('foo'))\n"
    loaded = "import sys; print('epcache._accelerate' in sys.modules)\n"
    assert environment.starts(lazily + loaded) == "['m:f'] 1\nTrue"
    assert environment.starts(ASKING + loaded, "-X", "lazy_imports=all") == f"{ANSWER}\nTrue"


def test_pip_refreshes_the_index(environment, tmp_path):
    environment.enable("--pip-hook")
    wheel = wheels.make(tmp_path, "bar", "1.0")
    shutil.copy(wheel, environment.system.path("/srv"))
    place = f"{environment.site}/.epcache/index"
    pip = f"{environment.python} -m pip --disable-pip-version-check --no-input"
    # A refresh that takes longer than pip waits ends with the last process of this command.
    waiting = f"for i in $(seq 100); do cmp -s {place} /srv/former || break; sleep 0.1; done"
    for command, there in [
        (f"{pip} install --no-index -q /srv/{wheel.name}", True),
        (f"{pip} uninstall -q -y bar", False),
    ]:
        script = f"cp {place} /srv/former && {command} && {waiting}"
        done = environment.system.run("sh", "-c", script, env={"PIP_ROOT_USER_ACTION": "ignore"})
        assert (done.stdout, done.stderr) == ("", "")
        index = index_reader.parse(environment.system.path(place).read_bytes())
        assert ("bar-1.0.dist-info" in index.distributions) == there
        assert "foo-1.dist-info" in index.distributions


def test_disabling_leaves_nothing(environment):
    before = environment.content()
    environment.enable()
    assert set(environment.content()) - set(before) == {"epcache.pth"}
    environment.starts(ASKING)
    environment.disable()
    assert environment.content() == before
    assert environment.starts(FINDERS) == "0"


def test_without_the_package_an_enabled_interpreter_prints_nothing(environment):
    environment.enable()
    environment.uninstall()
    for options in [[], ["-W", "error", "-X", "dev"]]:
        assert environment.starts(ASKING, *options) == ANSWER
        assert environment.starts("import pip._internal", *options) == ""


def test_the_cost_of_a_start_is_bounded(environment):
    starting = environment.opened("pass", "-I")[0]
    bare = f"{environment.directory}-bare"
    environment.system.run("rm", "-rf", bare)
    environment.system.run("cp", "-a", environment.directory, bare)
    environment.enable()
    # The file and the guard, then the package and its byte code.
    more = environment.opened("pass", "-I")[0]
    assert 1 <= len(more) - len(starting) <= 18, "\n".join(line for line in more if "epcache" in line)
    command = ["python3.14", "-c", COST, "120", f"{bare}/bin/python", environment.python]
    milliseconds = float(environment.system.run(*command).stdout)
    print(f"Python {environment.version}: {milliseconds:.2f} ms of processor time more, median of 120 starts")
    # On a busy machine the median alone varies by more than the start costs.
    assert milliseconds < 3
