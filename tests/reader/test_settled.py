"""An index made right after an installation is settled where RECORD proves that nothing is missing."""

import json
import os
import subprocess
import time

import pytest
from support import wheels
from support.environments import uv
from support.interpreters import INTERPRETERS, run
from support.simulation import records

NAME = "foo-1.dist-info"
FILES = {
    "METADATA": "Metadata-Version: 2.1\nName: foo\nVersion: 1\n",
    "entry_points.txt": "[g]\na = foo:f\n",
    "licenses/a, b.txt": "all of them\n",
    "RECORD": "",
}
DISTRIBUTION = {"directory": NAME, "files": FILES, "modules": {"foo.py": ""}, "hashed": True}


def installed(site, installer="any", **changes):
    """Make the distribution; `changes` are of its description. Returns the list of files."""
    distribution = {**DISTRIBUTION, **changes}
    record = records.of_installation(distribution, "INSTALLER")
    for path, text in {
        **distribution["modules"],
        **{f"{NAME}/{name}": text for name, text in distribution["files"].items()},
        f"{NAME}/RECORD": record,
        f"{NAME}/INSTALLER": f"{installer}\n",
    }.items():
        path = site / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return site / NAME / "RECORD"


def is_settled(site, epcache):
    return json.loads(epcache("refresh", "--json", site))["settled"]


def edited(old, new):
    def edit(record):
        text = record.read_bytes().decode()
        assert old in text
        record.write_bytes(text.replace(old, new).encode())

    return edit


def listed(name, text):
    return records.line(f"{NAME}/{name}", text)


METADATA = listed("METADATA", FILES["METADATA"])
ENTRY_POINTS = listed("entry_points.txt", FILES["entry_points.txt"])
HASH = records.hash_of(FILES["METADATA"])

FINAL = {
    "as an installer writes it": lambda record: None,
    "with the line ends of pip": edited("\n", "\r\n"),
    "one line twice": edited(METADATA, METADATA * 2),
    "a file of the package has no hash": edited(records.line("foo.py", ""), "foo.py,,\n"),
    "a file of the package is missing": lambda record: (record.parent.parent / "foo.py").unlink(),
}
NOT_FINAL = {
    "the hash is of another text": edited(HASH, records.hash_of("")),
    "no hash": edited(HASH, ""),
    "another kind of hash": edited("sha256=", "sha384="),
    "two hashes": edited(METADATA, METADATA + METADATA.replace(HASH, records.hash_of(""))),
    "METADATA is not listed": edited(METADATA, ""),
    "entry_points.txt is not listed": edited(ENTRY_POINTS, ""),
    "entry_points.txt is missing": lambda record: (record.parent / "entry_points.txt").unlink(),
    "entry_points.txt is not complete": lambda record: (record.parent / "entry_points.txt").write_text(
        "[g]\n"
    ),
    "a licence is missing": lambda record: (record.parent / "licenses/a, b.txt").unlink(),
    "a file is not listed": lambda record: (record.parent / "METADATA.tmp").touch(),
    "INSTALLER is missing": lambda record: (record.parent / "INSTALLER").unlink(),
    "INSTALLER is not listed": edited(f"{NAME}/INSTALLER,,\n", ""),
    "only a list of the wheel": lambda record: (
        record.write_text(records.of_wheel(DISTRIBUTION)),
        (record.parent / "INSTALLER").unlink(),
    ),
    "absolute paths": lambda record: edited(f"{NAME}/", f"{record.parent}/")(record),
    "a path that leads up": edited(f"{NAME}/METADATA", f"x/../{NAME}/METADATA"),
    "other letters": edited(f"{NAME}/METADATA", f"{NAME}/Metadata"),
    "the last line is not complete": lambda record: record.write_bytes(record.read_bytes()[:-1]),
    "a line that is no line of a list": edited("foo.py,", 'foo"py,'),
    "RECORD is empty": lambda record: record.write_bytes(b""),
    "RECORD is missing": lambda record: record.unlink(),
}


@pytest.mark.parametrize("case", FINAL)
def test_what_is_final_is_settled_at_once(tmp_path, epcache, case):
    FINAL[case](installed(tmp_path))
    assert is_settled(tmp_path, epcache)
    assert "fresh: 1 distributions" in epcache("status", tmp_path)


@pytest.mark.parametrize("case", NOT_FINAL)
def test_what_may_still_change_is_not_settled(tmp_path, epcache, case):
    NOT_FINAL[case](installed(tmp_path))
    assert not is_settled(tmp_path, epcache)


def test_declared_names_need_no_list_of_the_installer(tmp_path, epcache):
    files = {**FILES, "top_level.txt": "foo\n"}
    record = installed(tmp_path, files=files)
    record.write_text(records.of_wheel({**DISTRIBUTION, "files": files}))
    (record.parent / "INSTALLER").unlink()
    assert is_settled(tmp_path, epcache)
    (record.parent / "top_level.txt").write_text("bar\n")
    assert not is_settled(tmp_path, epcache)


@pytest.mark.parametrize("installer, settled", [("pip", True), ("uv", True), ("other", False)])
def test_a_long_list_is_believed_if_its_writer_is_known(tmp_path, epcache, installer, settled):
    record = installed(tmp_path, installer, padding=400)
    assert record.stat().st_size > 4096
    assert is_settled(tmp_path, epcache) == settled
    # Written in blocks, and not to the end.
    record.write_bytes(record.read_bytes()[:4096])
    assert record.read_bytes().endswith(b"\n") and not is_settled(tmp_path, epcache)


def test_a_list_that_is_written_again_in_place_is_read_again(tmp_path, epcache):
    files = {**FILES, "top_level.txt": "foo\n"}
    record = installed(tmp_path, files=files)
    text = record.read_bytes()
    record.write_bytes(b"")
    assert not is_settled(tmp_path, epcache)
    record.write_bytes(text)
    assert is_settled(tmp_path, epcache)


def status(site, epcache):
    """Its exit status, and the one site directory of its answer."""
    done = subprocess.run(
        [epcache.binary, "status", "--json", site], capture_output=True, text=True, check=False
    )
    return done.returncode, *json.loads(done.stdout)


@pytest.mark.parametrize("how", ["--wait", "at a terminal"])
def test_refresh_waits_for_what_is_not_final(tmp_path, epcache, how):
    NOT_FINAL["no hash"](installed(tmp_path))
    assert not is_settled(tmp_path, epcache)
    code, found = status(tmp_path, epcache)
    assert (code, found["state"]) == (1, "unsettled")
    assert 1 < found["settles_in"] <= 3
    assert "; settles in 3 s" in found["reason"]
    assert found["hint"] == f"epcache refresh {tmp_path} --wait"
    terminal, errors = os.openpty() if how == "at a terminal" else os.pipe()
    command = [epcache.binary, "refresh", "--json", tmp_path, *([how] if how == "--wait" else [])]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, check=True).stdout
    message = os.read(terminal, 1000).decode()
    os.close(errors)
    os.close(terminal)
    assert message.strip() == "epcache: waiting 3 s until the last installation is 3 s old"
    found = json.loads(output)
    assert found["settled"] and "settles_in" not in found and found["seconds"] > 0
    assert status(tmp_path, epcache)[0] == 0


def test_what_takes_longer_is_not_waited_for(tmp_path, epcache):
    NOT_FINAL["INSTALLER is missing"](installed(tmp_path))
    started = time.monotonic()
    found = json.loads(epcache("refresh", "--wait", "--json", tmp_path))
    assert time.monotonic() - started < 2
    assert not found["settled"] and 50 < found["settles_in"] <= 60
    code, found = status(tmp_path, epcache)
    assert code == 1 and found["hint"] == f"sleep 60 && epcache refresh {tmp_path}"


def settled_after(site, epcache, name):
    return json.loads(epcache("refresh", "--after", name, "--json", site))["settled"]


def test_what_an_installer_wrote_that_has_ended_is_settled(tmp_path, epcache):
    NOT_FINAL["no hash"](installed(tmp_path, "Poetry 1.8.3"))
    assert not settled_after(tmp_path, epcache, "pip")
    assert settled_after(tmp_path, epcache, "poetry")


@pytest.mark.parametrize(
    "case", ["INSTALLER is not listed", "the last line is not complete", "INSTALLER is missing"]
)
def test_what_another_run_of_that_installer_still_writes_is_not(tmp_path, epcache, case):
    record = installed(tmp_path, "pip")
    NOT_FINAL["no hash"](record)
    NOT_FINAL[case](record)
    assert not settled_after(tmp_path, epcache, "pip")


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_after_a_real_installation_the_index_is_as_it_would_be_later(tmp_path, epcache, installer):
    environment = tmp_path / "environment"
    python = environment / "bin/python"
    run(INTERPRETERS["3.12"], "-m", "venv", environment)
    (site,) = environment.glob("lib/python3.*/site-packages")
    wheel = wheels.make(tmp_path, "probe", "1.0")
    command = (
        [uv(), "pip", "install", "--python", python]
        if installer == "uv"
        else [python, "-m", "pip", "install"]
    )
    options = {"env": {**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")}}
    run(*command, "--quiet", "--no-deps", "--no-index", wheel, **options)
    assert is_settled(site, epcache)
    assert "fresh: 2 distributions" in epcache("status", site)
    index = (site / ".epcache/index").read_bytes()
    assert b"probe" in index
    time.sleep(3.1)
    assert len(json.loads(epcache("refresh", "--full", "--json", site))["read"]) == 2
    assert (site / ".epcache/index").read_bytes() == index
