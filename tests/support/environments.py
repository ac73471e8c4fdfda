"""Site directories: real ones, made by uv from the package index, and single distributions."""

import functools
import os
import pathlib
import sys

from .checkout import CHECKOUT
from .interpreters import INTERPRETERS, run
from .locking import locked

CACHE = CHECKOUT / ".cache" / "python"

# Real packages, chosen for their entry points, their legacy metadata or their odd names.
REQUIREMENTS = """
alembic attrs babel bandit black build celery click coverage cryptography django docutils flake8
flake8-bugbear flask flit hatchling hypothesis importlib-metadata ipykernel isort jinja2
jupyter-core keyring lxml mkdocs mypy nbconvert pip pip-tools pluggy poetry-core pre-commit pycodestyle
pyflakes pygments pylint pytest pytest-cov pytest-xdist readme-renderer requests rich scrapy setuptools
sphinx sphinx-rtd-theme sqlalchemy stevedore tomlkit tornado tox traitlets twine twisted urllib3
virtualenv watchdog werkzeug wheel zope-interface
""".split()


@functools.cache
def uv():
    """The path of uv, from the package index."""
    tools = CACHE / "tools"
    with locked(CACHE / "tools.lock"):
        if not (tools / "bin" / "uv").exists():
            run(sys.executable, "-m", "venv", tools)
            run(tools / "bin" / "python", "-m", "pip", "install", "--quiet", "uv")
    return tools / "bin" / "uv"


def make_environment(directory, requirements):
    """A virtual environment made by uv, with pip in it; the path of its site directory.

    Without hard links into uv's cache: another environment with the same files, made or removed at that time,
    would change their ctime.
    """
    variables = {**os.environ, "UV_CACHE_DIR": str(CACHE / "uv"), "UV_LINK_MODE": "copy"}
    # Packages for the oldest version can be read by all versions.
    python = INTERPRETERS["3.11"]
    run(uv(), "venv", "--quiet", "--seed", "--python", python, directory, env=variables)
    interpreter = directory / "bin" / "python"
    run(uv(), "pip", "install", "--quiet", "--python", interpreter, *requirements, env=variables, timeout=600)
    (site,) = directory.glob("lib/python3.*/site-packages")
    return site


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
