"""A wheel that adds a plugin to every program. It is installed after the index was made, and must show in
their output."""

import base64
import hashlib
import zipfile

NAME = "latecomer"
VERSION = "1.0"

ENTRY_POINTS = """\
[bandit.formatters]
moth = latecomer.for_bandit:report

[flake8.extension]
MTH = latecomer.for_flake8:Check

[keyring.backends]
moth = latecomer.for_keyring

[moths.drivers]
moth = latecomer

[opentelemetry_instrumentor]
moth = latecomer.for_opentelemetry:Instrumentor

[pygments.lexers]
moth = latecomer.for_pygments:MothLexer

[pytest11]
moth = latecomer.for_pytest

[tox]
moth = latecomer.for_tox
"""

MODULES = {
    "__init__": "",
    "for_bandit": "def report(manager, fileobj, sev_level, conf_level, lines=-1):\n    pass\n",
    "for_flake8": """\
class Check:
    name = "latecomer"
    version = "1.0"

    def __init__(self, tree):
        pass

    def run(self):
        return iter(())
""",
    "for_keyring": """\
from keyring.backend import KeyringBackend


class Moth(KeyringBackend):
    priority = 0.5

    def get_password(self, service, username):
        return None

    def set_password(self, service, username, password):
        pass

    def delete_password(self, service, username):
        pass
""",
    "for_opentelemetry": """\
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor


class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()

    def _instrument(self, **options):
        print("the latecomer instruments")

    def _uninstrument(self, **options):
        pass
""",
    "for_pygments": """\
from pygments.lexer import RegexLexer


class MothLexer(RegexLexer):
    name = "Moth"
    filenames = ["*.moth"]
    tokens = {"root": []}
""",
    "for_pytest": "",
    "for_tox": "",
}


def wheel(directory):
    """Write the wheel into a directory; returns its path."""
    info = f"{NAME}-{VERSION}.dist-info"
    files = {f"{NAME}/{module}.py": text for module, text in MODULES.items()}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = ENTRY_POINTS
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    path = directory / f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path
