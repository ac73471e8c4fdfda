"""Collects seeds for fuzzing from real packages.

    python fuzz/collect_seeds.py EPCACHE

Downloads some wheels with pip, takes the files that the parsers read, shortens long ones, lets the
program EPCACHE make indexes of them, and writes everything below fuzz/seeds.
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

SEEDS = pathlib.Path(__file__).resolve().parent / "seeds"
WHEELS = """
    babel==2.17.0 black==24.10.0 build==1.2.2 coverage==7.6.10 flake8==7.1.1 hatchling==1.27.0
    httpx==0.28.1 idna==3.10 ipykernel==6.29.5 jinja2==3.1.5 keyring==25.6.0 mypy_extensions==1.0.0
    nbconvert==7.16.5 opentelemetry-api==1.29.0 pip==24.3.1 pygments==2.19.1 pytest==8.3.4
    pytest-cov==6.0.0 pyyaml==6.0.2 setuptools==75.8.0 sphinx==8.1.3 sqlalchemy==2.0.37 stevedore==5.4.0
    twine==6.1.0 uvicorn==0.34.0 wheel==0.45.1
""".split()
# Indexes of a few distributions each, so that one mutation has a chance to matter.
SITES = [
    ["idna"],
    ["flake8", "pytest", "uvicorn", "mypy_extensions"],
    ["babel", "jinja2", "pygments", "sqlalchemy", "pip", "twine"],
]
ODD = {"flake8": "[g]\nno equals sign\n", "twine": "[g]\na\tb = m:f # %\n"}

CONFIGURATIONS = [
    "# All that there is to set.\nsite-directories = [\n  '/usr/lib/python3/dist-packages',\n]\n",
    'site-directories = ["/opt/*/lib/python3.*/site-packages", "/usr/lib64/python3.[0-9]*/site-packages"]\n',
    "site-directories = []\n",
    "require-sandbox = true\nsite-directories = ['/opt/venv/lib/python3.13/site-packages']\n",
    "site-directorys = ['/usr']\n",
    "site-directories = ['relative', '/a/../b', '/a/[']\n",
    "[site-directories]\na = 1979-05-27T07:32:00Z\nb = { c = [1, 0x2, 3.5, true] }\n",
    "site-directories = ['''/multi\nline''', \"\\u00e9\\U0001F600\"]\n",
    "site-directories = [\r\n  '''/multi\r\nline''', \"\"\"/one\\\r\n  line\"\"\"]\r\n",
]

# Long values, and a line end that is found only after they were read.
METADATA = [f"Requires-Dist: {'x' * 129}\n" * 2 + f"Name: {'n' * 600}\r\n\n"]

REGISTRATIONS = [
    "description = 'x'\ncommand = ['/usr/lib/x', '-a', 'b c']\n",
    "description = 'A cache'\npython = 'a.b:c'\norder = -5\ntimeout = 60\nwhen = 'later'\n"
    "[on]\ndistributions = ['Zope.*', '[a-c]-d']\ngroups = ['g', 'h?']\nevents = ['added', 'removed']\n"
    "[sandbox]\nread = ['/a', 'b']\nwrite = ['cache', '{site}/a', '/v']\nnetwork = true\n"
    "memory = 64\nprocesses = 4\n",
    "description = 'x'\ncommand = ['bin/x']\nsandbox = { write = ['{site}'] }\non.groups = [\n'a',\n'b[',\n]\n",
    "description = 'x'\ncomand = ['/x', 1979-05-27, 1.5]\n[on]\nevent = []\n",
]


def main():
    _, epcache = sys.argv
    shutil.rmtree(SEEDS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as directory:
        below = pathlib.Path(directory)
        download = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--only-binary=:all:"]
        platform = ["--python-version=3.12", "--platform=manylinux2014_x86_64", "--platform=any"]
        subprocess.run([*download, *platform, "--dest", below / "wheels", *WHEELS], check=True)
        wheels = {path.name.partition("-")[0].lower(): path for path in (below / "wheels").iterdir()}
        for wheel in wheels.values():
            files_of(wheel)
        for number, names in enumerate(SITES):
            site = below / f"site{number}"
            for name in names:
                unpack(wheels[name], site, ODD.get(name))
            subprocess.run([epcache, "refresh", site], check=True, stdout=subprocess.DEVNULL)
            keep("index", (site / ".epcache" / "index").read_bytes())
    for text in CONFIGURATIONS:
        keep("configuration", text.encode())
    for text in METADATA:
        keep("metadata", text.encode())
    for text in REGISTRATIONS:
        keep("registration", text.encode())
    for length in (16, 256, 2048):
        # Only the structure of the index matters, so any bytes will do.
        keep("index_round_trip", hashlib.shake_256(b"%d" % length).digest(length))


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for path in archive.namelist():
            directory, _, name = path.rpartition("/")
            if not directory.endswith(".dist-info"):
                continue
            if name == "entry_points.txt":
                keep("entry_points", shortened(archive.read(path), 40))
            elif name == "METADATA":
                headers, _, description = archive.read(path).partition(b"\n\n")
                keep("metadata", shortened(headers, 25) + b"\n\n" + description[:80])
            elif name in ("RECORD", "top_level.txt"):
                # The first byte selects the kind of file; see targets/file_lists.rs.
                kind = b"\0" if name == "RECORD" else b"\3"
                keep("file_lists", kind + shortened(archive.read(path), 25))
            if name == "RECORD":
                paths = [line.partition(b",")[0] for line in archive.read(path).splitlines()]
                site = b"/usr/lib/python3.13/site-packages/"
                own = [line for line in paths if line.startswith(directory.encode())]
                keep("changed_files", b"".join(site + line + b"\n" for line in paths[:5] + own[:5]))


def shortened(content, lines):
    return b"".join(content.splitlines(keepends=True)[:lines])


def unpack(wheel, site, entry_points):
    with zipfile.ZipFile(wheel) as archive:
        for path in archive.namelist():
            if ".dist-info/" in path:
                archive.extract(path, site)
    (directory,) = (
        path for path in site.iterdir() if path.name.lower().startswith(wheel.name.split("-")[0].lower())
    )
    # Lists of thousands of files, none of which exists.
    shutil.copyfile(directory / "RECORD", directory / "all")
    (directory / "RECORD").write_bytes(shortened((directory / "all").read_bytes(), 5))
    (directory / "all").unlink()
    if entry_points is not None:
        (directory / "entry_points.txt").write_text(entry_points)


def keep(target, content):
    directory = SEEDS / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


if __name__ == "__main__":
    main()
