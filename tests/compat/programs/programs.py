"""The programs: their command lines, and the files of distributions that they read.

They are unmodified; only acceleration in their environment is switched on or off.
"""

import pathlib
from dataclasses import dataclass, field

SCRIPTS = pathlib.Path(__file__).resolve().parent / "scripts"


@dataclass
class Program:
    name: str  # as in the documentation
    command: list  # the first is in the environment's bin
    status: int = 0
    # The files it reads of each distribution: with an index it need not read the entry points.
    reads: str = "entry_points.txt"
    # Whether its lines come from a set of objects, whose order differs each time.
    of_a_set: bool = False
    variables: dict = field(default_factory=dict)


PROGRAMS = [
    # 5: no tests were collected.
    Program("pytest --trace-config", ["pytest", "--trace-config", "--randomly-seed=1"], status=5),
    Program("flake8 --version", ["flake8", "--version"]),
    # pip chooses this by itself from Python 3.11 on.
    Program(
        "pip list",
        ["pip", "list", "--disable-pip-version-check"],
        reads="METADATA",
        variables={"_PIP_USE_IMPORTLIB_METADATA": "1"},
    ),
    Program("keyring --list-backends", ["keyring", "--list-backends"], of_a_set=True),
    Program("stevedore: drivers of five namespaces", ["python", str(SCRIPTS / "drivers.py")]),
    Program("bandit --help", ["bandit", "--help"]),
    Program("pygments: lexers for 52 files", ["python", str(SCRIPTS / "lexers.py")]),
    Program(
        "opentelemetry-instrument",
        ["opentelemetry-instrument", "python", str(SCRIPTS / "telemetry.py")],
        variables={
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
    ),
    Program("tox --version", ["tox", "--version"]),
]
