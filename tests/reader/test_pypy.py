"""PyPy: its environments are found, and everything works there as with CPython."""

import json
import os
import shutil
import subprocess
import time

import pytest
from support import wheel_build, wheels
from support.interpreters import run

PYPY = shutil.which("pypy3")

pytestmark = pytest.mark.skipif(PYPY is None, reason="needs pypy3, and its module venv")

# What importlib.metadata gives, and how many metadata files of the environment were opened for it.
READ = """
import importlib.metadata, json, sys, warnings
warnings.simplefilter("error")
opened = []
sys.addaudithook(lambda event, arguments: event == "open" and opened.append(str(arguments[0])))
found = [
    [dist.metadata["Name"], dist.version, [[ep.group, ep.name, ep.value] for ep in dist.entry_points]]
    for dist in importlib.metadata.distributions()
]
groups = importlib.metadata.entry_points().items()
groups = {group: sorted([ep.name, ep.value] for ep in of) for group, of in groups}
read = [path for path in opened if path.startswith(sys.prefix) and ".dist-info" in path]
print(json.dumps([sorted(found), groups, len(read)]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the wheel, which pip installed."""
    directory = tmp_path_factory.mktemp("pypy") / "project/.venv"
    run(PYPY, "-m", "venv", directory)
    run(directory / "bin/python", "-m", "pip", "install", "--quiet", "--no-index", wheel_build.wheel())
    return directory


@pytest.fixture
def site(environment):
    (site,) = environment.glob("lib/pypy3.*/site-packages")
    return site


def read(environment, **variables):
    return json.loads(run(environment / "bin/python", "-B", "-c", READ, env={**os.environ, **variables}))


def assert_state(epcache, site, *states):
    end = time.monotonic() + 10
    while True:
        done = subprocess.run([epcache.binary, "status", "--json", site], capture_output=True, text=True)
        state = json.loads(done.stdout)[0]["state"]
        if state in states:
            return
        assert time.monotonic() < end, state
        time.sleep(0.05)


def test_every_way_to_name_an_environment_finds_it(epcache, environment, site):
    project = environment.parent
    variables = {
        key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "CONDA_PREFIX")
    }
    for arguments, more in [
        (["--venv", environment], {}),
        (["--python", environment / "bin/pypy3"], {}),
        ([], {}),
        ([], {"VIRTUAL_ENV": str(environment)}),
    ]:
        output = epcache("refresh", "--json", *arguments, cwd=project, env={**variables, **more})
        (line,) = output.splitlines()
        assert json.loads(line)["site"] == str(site)
    shutil.rmtree(site / ".epcache")
    epcache("run", "--", "true", cwd=project, env=variables)
    assert (site / ".epcache/index").exists()


def test_accelerated_programs_get_the_same_answers(epcache, environment, site):
    epcache("enable", site, "--accelerate", "--pip-hook")
    time.sleep(3.1)
    epcache("refresh", site)
    assert_state(epcache, site, "fresh")
    accelerated, plain = read(environment), read(environment, EPCACHE="off")
    assert accelerated[:2] == plain[:2]
    assert accelerated[2] == 0 < plain[2]
    code = "import epcache, sys; print(epcache.version('pip'), 'importlib.metadata' in sys.modules)"
    version = dict(row[:2] for row in plain[0])["pip"]
    assert run(environment / "bin/python", "-B", "-c", code) == f"{version} False\n"


def test_the_hook_indexes_what_pip_changes(epcache, environment, site, tmp_path):
    epcache("enable", site, "--accelerate", "--pip-hook")
    wheel = wheels.make(tmp_path, "probe", "1.0")
    pip = [environment / "bin/python", "-B", "-m", "pip", "install", "--quiet", "--no-index"]
    prefix = tmp_path / "prefix"
    places = [
        (["--target", tmp_path / "target"], tmp_path / "target"),
        (["--prefix", prefix], prefix / site.relative_to(environment)),
        ([], site),
    ]
    for options, place in places:
        run(*pip, *options, wheel)
        assert_state(epcache, place, "fresh", "unsettled")
        assert "probe" in (place / ".epcache/index").read_text()
    assert ["probe", "probe:run"] in read(environment)[1]["probe"]
