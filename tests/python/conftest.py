"""What the tests of the Python reader run on: interpreters, a real environment, the tool.

Run as ``python -m pytest tests/python``. One interpreter runs the tests; those of the versions that
the reader supports are started by them. Where these are: ``$EPCACHE_TEST_PYTHONS`` (separated by
colons), or pyenv's, or those on ``PATH``.
"""

import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
READER = CHECKOUT / "python"
CACHE = CHECKOUT / ".cache" / "python"
VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]

# Real packages, chosen for their entry points, their legacy metadata or their odd names.
REQUIREMENTS = """
alembic attrs babel bandit black build celery click coverage cryptography django docutils flake8
flake8-bugbear flask flit hatchling hypothesis importlib-metadata ipykernel isort jinja2
jupyter-core keyring lxml mkdocs mypy nbconvert pip pip-tools pluggy poetry-core pre-commit pycodestyle
pyflakes pygments pylint pytest pytest-cov pytest-xdist readme-renderer requests rich scrapy setuptools
sphinx sphinx-rtd-theme sqlalchemy stevedore tomlkit tornado tox traitlets twine twisted urllib3
virtualenv watchdog werkzeug wheel zope-interface
""".split()

sys.path.insert(0, str(READER))


def _interpreters():
    given = os.environ.get("EPCACHE_TEST_PYTHONS")
    if given:
        candidates = given.split(":")
    else:
        pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")))
        candidates = [str(path) for path in sorted(pyenv.glob("versions/3.*/bin/python"))]
        candidates += filter(None, (shutil.which(f"python{version}") for version in VERSIONS))
    found = {}
    for candidate in candidates:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        run = subprocess.run([candidate, "-S", "-E", "-c", code], capture_output=True, text=True)
        if run.returncode == 0:
            found.setdefault(run.stdout.strip(), candidate)
    return {version: found[version] for version in VERSIONS if version in found}


INTERPRETERS = _interpreters()


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", list(INTERPRETERS.values()), ids=list(INTERPRETERS), scope="session")


@pytest.fixture(scope="session", autouse=True)
def _the_supported_interpreters_are_here():
    missing = [version for version in VERSIONS if version not in INTERPRETERS]
    if missing and not os.environ.get("EPCACHE_TEST_PYTHONS"):
        pytest.exit(f"no interpreter for Python {', '.join(missing)}: set EPCACHE_TEST_PYTHONS", 2)


def run(*command, **options):
    """Run a command that must succeed; what it printed."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def ask(python, path, queries, by="epcache", setup="", environment=None):
    """What an interpreter answers to `entry_points(**query)` with `path` in front of its sys.path.

    A dictionary: ``answers``, one per query, each a list of [name, value, group, directory] or the
    name of the exception; ``warnings``; ``modules``, those loaded from first to last answer.
    """
    request = json.dumps({"path": list(map(str, path)), "queries": queries, "by": by, "setup": setup})
    script = pathlib.Path(__file__).with_name("answer.py")
    variables = {name: value for name, value in os.environ.items() if name != "EPCACHE"}
    variables.update(environment or {})
    return json.loads(run(python, "-S", "-E", script, READER, input=request, env=variables, timeout=120))


def expected(python, path, queries, setup=""):
    """The same from the interpreter's own importlib.metadata, and for 3.9 from that of 3.12."""
    if python == INTERPRETERS.get("3.9"):
        python = INTERPRETERS["3.12"]
    return ask(python, path, queries, by="importlib", setup=setup)["answers"]


@functools.lru_cache(maxsize=None)
def uv():
    """The path of uv, from the registry."""
    tools = CACHE / "tools"
    if not (tools / "bin" / "uv").exists():
        run(sys.executable, "-m", "venv", tools)
        run(tools / "bin" / "python", "-m", "pip", "install", "--quiet", "uv")
    return tools / "bin" / "uv"


def make_environment(directory, requirements):
    """A virtual environment made by uv, with pip in it; the path of its site directory."""
    variables = {**os.environ, "UV_CACHE_DIR": str(CACHE / "uv")}
    # Whatever can be had for the oldest version can be read by all.
    python = INTERPRETERS["3.11"]
    run(uv(), "venv", "--quiet", "--seed", "--python", python, directory, env=variables)
    interpreter = directory / "bin" / "python"
    run(uv(), "pip", "install", "--quiet", "--python", interpreter, *requirements, env=variables, timeout=600)
    (site,) = directory.glob("lib/python3.*/site-packages")
    return site


@pytest.fixture(scope="session")
def real_site():
    """The site directory of an environment with real packages, made once and only read."""
    wanted = hashlib.sha256(" ".join(REQUIREMENTS).encode()).hexdigest()
    directory = CACHE / "environment"
    mark = directory / "complete"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        make_environment(directory, REQUIREMENTS)
        mark.write_text(wanted)
    (site,) = directory.glob("lib/python3.*/site-packages")
    assert len(list(site.glob("*.dist-info"))) >= 60
    return site


@pytest.fixture(scope="session")
def epcache():
    """A function that runs the tool, which is built if ``$EPCACHE_BIN`` does not name it."""
    binary = os.environ.get("EPCACHE_BIN")
    if not binary:
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target"))
        run("cargo", "build", "--quiet", "--manifest-path", CHECKOUT / "Cargo.toml")
        binary = target / "debug" / "epcache"

    def call(*arguments, **options):
        return run(binary, *arguments, **options)

    return call


def add(site, name, entry_points=None, metadata=None):
    """Put a distribution into a site directory, as an installer does."""
    directory = pathlib.Path(site) / name
    directory.mkdir(parents=True)
    stem, _, version = name.rpartition(".")[0].partition("-")
    if metadata is None:
        metadata = f"Metadata-Version: 2.1\nName: {stem}\nVersion: {version or '0'}\n"
    file = "PKG-INFO" if name.lower().endswith(".egg-info") else "METADATA"
    (directory / file).write_text(metadata)
    if entry_points is not None:
        if isinstance(entry_points, str):
            entry_points = entry_points.encode()
        (directory / "entry_points.txt").write_bytes(entry_points)
    return directory
