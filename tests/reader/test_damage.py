"""An invalid index is never used, and the warning gives the reason."""

import os
import pathlib
import posix
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings

import epcache
import pytest
from epcache import _warning
from support import index_writer
from support.environments import add
from support.interpreters import READER, run

from . import warned


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A small site directory with an index, alone on sys.path, with every kind of row."""
    site = tmp_path / "site"
    add(site, "foo-1.dist-info", "[g]\na = foo:a\n[h]\nc = foo:c\n")
    add(site, "foo-2.egg-info", "[g]\nhidden = foo:two\n")
    add(site, "bar-1.dist-info", "[h]\nz = bar:z\n[g]\nb = bar:b [x]\n")
    add(site, "tab-1.dist-info", "[g]\nta\tb = tab:t\n")
    add(site, "empty-1.dist-info")
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    monkeypatch.setattr(sys, "path", [str(site)])
    return site


def answer(**params):
    """The answer as plain tuples, and the text of the warnings."""
    found, messages = warned.entry_points(**params)
    return [ep._key() for ep in found], messages


QUERIES = [{}, {"group": "g"}, {"group": "h"}, {"group": "none"}, {"name": "b"}]


@pytest.fixture
def expected(site):
    right = [answer(**query) for query in QUERIES]
    assert all(messages == [] for _, messages in right)
    assert len(right[0][0]) == 4 + 1
    return [keys for keys, _ in right]


def put(site, data):
    index_writer.replace(str(site / ".epcache" / "index"), data)


def test_truncated_at_every_length(site, expected):
    whole = (site / ".epcache" / "index").read_bytes()
    for length in range(len(whole)):
        put(site, whole[:length])
        for query, right in zip(QUERIES, expected):
            found, messages = answer(**query)
            assert found == right, length
            assert len(messages) == 1 and f"{site}: the index {site}/.epcache/index is " in messages[0], (
                length
            )
    put(site, whole)
    assert answer() == (expected[0], [])


@pytest.mark.parametrize("extra", [b"x", b"\n", b"end\n", b"\0" * 100])
def test_with_bytes_after_the_end(site, expected, extra):
    put(site, (site / ".epcache" / "index").read_bytes() + extra)
    assert answer(group="g")[0] == expected[1]
    assert len(answer(group="g")[1]) == 1


def test_holes_as_a_crash_leaves_them(site, expected):
    whole = (site / ".epcache" / "index").read_bytes()
    for start in range(0, len(whole), 64):
        put(site, whole[:start] + b"\0" * 64 + whole[start + 64 :])
        found, messages = answer()
        assert found == expected[0] and len(messages) == 1, start


# Each bit of each byte would take eight times as long and show no more.
CHANGES = {
    "one_bit": lambda place, byte: byte ^ (1 << place % 8),
    "all_bits": lambda place, byte: byte ^ 0xFF,
    "the_next_digit": lambda place, byte: byte ^ 0x01,
}


@pytest.mark.parametrize("change", CHANGES)
def test_corrupted_at_each_byte(site, expected, change):
    whole = (site / ".epcache" / "index").read_bytes()
    unnoticed = 0
    for place, byte in enumerate(whole):
        put(site, whole[:place] + bytes([CHANGES[change](place, byte)]) + whole[place + 1 :])
        for query, right in zip(QUERIES, expected):
            found, messages = answer(**query)
            assert found == right, (place, query)
            if "group" not in query:
                assert len(messages) == 1 and "epcache refresh" in messages[0], place
            elif not messages:
                unnoticed += 1
    # A query for one group does not read the whole file: otherwise the reader would be too slow.
    assert unnoticed > 0


def test_two_adjacent_bytes_exchanged(site, expected):
    whole = bytearray((site / ".epcache" / "index").read_bytes())
    for place in range(len(whole) - 1):
        if whole[place] != whole[place + 1]:
            data = bytearray(whole)
            data[place : place + 2] = whole[place + 1], whole[place]
            put(site, bytes(data))
            found, messages = answer()
            assert found == expected[0] and len(messages) == 1, place


@pytest.mark.parametrize("version", [b"2", b"10", b"1.1", b"01", b"", b"1 "])
def test_another_format_version(site, expected, version):
    index_writer.write(str(site), version=version)
    found, messages = answer()
    assert found == expected[0]
    (message,) = messages
    assert "is of a version that this reader does not know" in message


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b"epcache-index", b"\0" * 5000])
def test_not_an_index(site, expected, content):
    put(site, content)
    found, messages = answer()
    assert found == expected[0]
    assert len(messages) == 1


def with_header(data, old, new):
    """An index with another header, with correct checksums."""
    length = int(data[29:39])
    header = data[51:length]
    assert header.count(old) == 1
    header = header.replace(old, new)
    rest = data[length:]
    lengths = b"%012d %010d %010d\n" % (
        51 + len(header) + len(rest),
        51 + len(header),
        index_writer.check(header),
    )
    return data[:16] + lengths + header + rest


@pytest.mark.parametrize(
    "old, new",
    [
        (b"count\t5", b"count\t4"),
        (b"count\t5", b"count\tfive"),
        (b"count\t5", b"count\t-1"),
        (b"settled\tyes", b"settled\tno"),
        (b"settled\tyes", b"settled\t"),
        (b"settled\tyes\n", b""),
        (b"duplicates\t2 3", b"duplicates\t2 99"),
        (b"opaque\t4", b"opaque\t5"),
        (b"segment\torder", b"segment\tother"),
        (b"segment\tdistributions\t0", b"segment\tdistributions\t-9"),
        (b"segment\tdistributions\t0", b"segment\tdistributions\t99999999999999999999999"),
        (b"groups\t2", b"grouping\t2"),
        (b"\th\n", b"\th"),
    ],
)
def test_an_invalid_header_with_a_correct_checksum(site, expected, old, new):
    data = (site / ".epcache" / "index").read_bytes()
    assert with_header(data, old, old) == data
    put(site, with_header(data, old, new))
    for query, right in zip(QUERIES, expected):
        found, messages = answer(**query)
        assert found == right, query
    assert len(answer()[1]) == 1


def test_groups_that_share_their_lines(site, expected):
    # A few thousand lines in a few thousand groups would need more memory than there is.
    data = (site / ".epcache" / "index").read_bytes()
    (place,) = (line[:-2] for line in data.split(b"\n") if line.endswith(b"\tg"))
    shared = b"".join(b"%b\tg%03d\n" % (place, number) for number in range(300))
    put(site, with_header(data, b"groups\t2\n", b"groups\t302\n" + shared))
    found, messages = answer()
    assert found == expected[0] and len(messages) == 1 and "is damaged" in messages[0]


def test_limits(site, expected, monkeypatch):
    index = site / ".epcache" / "index"
    size, header = index.stat().st_size, int(index.read_bytes()[29:39])
    without = [site.parent / str(number) for number in range(4)]
    for name, limit, text in [
        ("INDEX_SIZE", size, " is larger than "),
        ("HEADER_SIZE", header, " is damaged"),
        ("WITHOUT_LINES", 3, " is damaged"),
    ]:
        if name == "WITHOUT_LINES":
            for path in without:
                path.mkdir()
            index_writer.write(str(site), without=without[1:])
        monkeypatch.setattr(epcache, name, limit)
        assert [answer(**query) for query in QUERIES] == [(right, []) for right in expected], name
        if name == "WITHOUT_LINES":
            index_writer.write(str(site), without=without)
        else:
            monkeypatch.setattr(epcache, name, limit - 1)
            put(site, index.read_bytes())  # so that what is remembered does not count
        for query, right in zip(QUERIES, expected):
            found, messages = answer(**query)
            assert found == right and len(messages) == 1 and text in messages[0], (name, messages)
        monkeypatch.undo()
        monkeypatch.setattr(sys, "path", [str(site)])


def enlarged(data, size):
    """The parts of an index that is said to be of this size: the rest is a hole, with an end mark."""
    return data[:16] + b"%012d" % size + data[28:-4]


@pytest.mark.parametrize("size", [2 << 20, 200 << 20, (256 << 20) + 1, 40 << 30])
def test_a_file_with_holes_is_not_read(site, expected, size):
    index = site / ".epcache" / "index"
    data = enlarged(index.read_bytes(), size)
    with open(index, "wb") as file:
        file.write(data)
        file.seek(size - 4)
        file.write(b"end\n")
    if index.stat().st_blocks > 1000:
        pytest.skip("no holes on this file system")
    if os.geteuid() == 0:
        for path in (site, index):
            os.chown(path, 12345, -1)
    for query, right in zip(QUERIES, expected):
        begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found, messages = answer(**query)
        assert found == right
        if os.geteuid() == 0 or size > 256 << 20:
            assert " is sparse" in messages[0] or " is larger than 256 MiB" in messages[0], messages
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin < 10_000, "KiB"


@pytest.mark.parametrize("kind", [MemoryError, OverflowError, RecursionError, ValueError])
@pytest.mark.parametrize("call", ["pread", "int"])
def test_what_an_index_makes_python_raise_is_no_error_of_the_program(site, expected, monkeypatch, kind, call):
    """Where reading or parsing takes more than there is, the directory is read instead."""
    calls = 0

    def raising(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            raise kind
        return real(*arguments, **options)

    for query, right in zip(QUERIES, expected):
        for number in range(1, 100):
            calls = 0
            if call == "int":
                real = int
                monkeypatch.setattr(epcache, "int", raising, raising=False)
            else:
                real = posix.pread
                monkeypatch.setattr(posix, "pread", raising)
            monkeypatch.setattr(epcache, "_known", None)
            found, messages = answer(**query)
            assert found == right, (query, number)
            if calls < number:
                break
        assert number > 2
        monkeypatch.undo()
        monkeypatch.setattr(sys, "path", [str(site)])


def test_numbers_of_any_length(site, expected):
    data = (site / ".epcache" / "index").read_bytes()
    for old, new in [
        (b"count\t5", b"count\t" + b"5" * 10_000),
        (b"opaque\t4", b"opaque\t" + b"4" * 10_000),
        (b"segment\torder\t", b"segment\torder\t" + b"4" * 10_000),
        (b"site\t", b"site\t" + b"4" * 10_000),
    ]:
        put(site, with_header(data, old, new))
        for query, right in zip(QUERIES, expected):
            found, messages = answer(**query)
            assert found == right, old
            assert messages or old == b"segment\torder\t", old


def test_header_lines_and_segments_of_later_writers_are_ignored(site, expected):
    data = (site / ".epcache" / "index").read_bytes()
    put(site, with_header(data, b"count\t5\n", b"count\t5\nnovelty\t1 2 3\nsegment\tnew\t0\t0\t0\n"))
    assert [answer(**query) for query in QUERIES] == [(right, []) for right in expected]


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o777])
def test_writable_by_others(site, expected, mode):
    (site / ".epcache" / "index").chmod(mode)
    found, messages = answer(group="g")
    assert found == expected[1]
    assert "may be written by others" in messages[0]


@pytest.mark.parametrize(
    "directory, index, is_used",
    [
        (0o775, 0o664, True),
        (0o777, 0o666, True),
        (0o765, 0o664, False),
        (0o775, 0o666, False),
        (0o757, 0o664, False),
        (0o1777, 0o666, False),
        (0o1775, 0o664, False),
    ],
)
def test_writable_by_those_who_may_write_the_site_directory(site, expected, directory, index, is_used):
    site.chmod(directory)
    index_writer.write(str(site))
    (site / ".epcache" / "index").chmod(index)
    found, messages = answer(group="g")
    assert found == expected[1]
    assert (messages == []) == is_used


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@needs_root
def test_owned_by_an_untrusted_user(site, expected):
    os.chown(site / ".epcache" / "index", 12345, 12345)
    found, messages = answer(group="g")
    assert found == expected[1]
    assert "belongs to user 12345, who is not trusted here" in messages[0]


@needs_root
def test_writable_by_another_group_than_the_site_directory(site, expected):
    site.chmod(0o775)
    index_writer.write(str(site))
    os.chown(site / ".epcache" / "index", 0, 7)
    (site / ".epcache" / "index").chmod(0o664)
    assert "may be written by others" in answer(group="g")[1][0]


@needs_root
def test_owned_by_the_owner_of_the_site_directory(site, expected):
    os.chown(site, 12345, 12345)
    index_writer.write(str(site))
    os.chown(site / ".epcache" / "index", 12345, 12345)
    assert answer(group="g") == (expected[1], [])


@needs_root
def test_only_in_the_system_cache_the_user_epcache_is_trusted(site, expected, tmp_path, monkeypatch):
    import pwd

    import epcache

    cache = tmp_path / "var"
    monkeypatch.setattr(epcache, "SYSTEM_CACHE", str(cache))
    monkeypatch.setattr(epcache, "SYSTEM_USER", "nobody")
    nobody = pwd.getpwnam("nobody").pw_uid
    sidecar = site / ".epcache" / "index"
    os.chown(sidecar, nobody, -1)
    found, messages = answer(group="g")
    assert found == expected[1] and f"belongs to user {nobody}" in messages[0]

    sidecar.unlink()
    system = index_writer.write(str(site), f"{cache}{site}/index")
    os.chown(system, nobody, -1)
    assert answer(group="g") == (expected[1], [])
    os.chown(system, 12345, -1)
    found, messages = answer(group="g")
    assert found == expected[1] and "belongs to user 12345" in messages[0]


@needs_root
@pytest.mark.parametrize("shell", ["/bin/bash", ""])
def test_a_user_epcache_who_can_log_in_is_not_trusted(site, expected, tmp_path, monkeypatch, shell):
    import pwd
    import types

    account = types.SimpleNamespace(pw_uid=12345, pw_shell=shell)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: account)
    monkeypatch.setattr(epcache, "_system_uid", None)
    monkeypatch.setattr(epcache, "SYSTEM_CACHE", str(tmp_path / "var"))
    (site / ".epcache" / "index").unlink()
    os.chown(index_writer.write(str(site), f"{tmp_path}/var{site}/index"), 12345, -1)
    found, messages = answer(group="g")
    assert found == expected[1] and "belongs to user 12345" in messages[0]


@pytest.fixture
def as_untrusted_user():
    """Runs code as a user who owns nothing, in a Python that this user may run; returns its output."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="epcache-"))
    directory.chmod(0o755)
    user = ["setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups"]
    for python in (sys.executable, "/usr/bin/python3"):
        probe = [*user, python, "-S", "-E", "-c", "import importlib.metadata, warnings"]
        if subprocess.run(probe, capture_output=True, cwd="/").returncode == 0:
            break
    else:
        pytest.skip("no interpreter that another user may run")
    run("cp", "-r", READER, directory / "reader")

    def call(path, code):
        code = f"import sys; sys.path[:0] = [{str(path)!r}, {str(directory / 'reader')!r}]\n{code}"
        command = [*user, python, "-S", "-E", "-B", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", env={"HOME": "/nonexistent"})
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    call.directory = directory
    yield call
    shutil.rmtree(directory)


@needs_root
def test_an_unprivileged_reader_does_not_trust_another_user(as_untrusted_user):
    site = as_untrusted_user.directory / "site"
    add(site, "foo-1.dist-info", "[g]\na = foo:a\n")
    (site / ".epcache").mkdir()
    index = pathlib.Path(index_writer.write(str(site)))
    code = "import epcache; print(len(epcache.entry_points(group='g')), 'epcache._parse' in sys.modules)"
    assert as_untrusted_user(site, code) == ("1 False\n", "")  # root's index
    os.chown(index, 4242, -1)
    assert as_untrusted_user(site, code) == ("1 False\n", "")  # its own
    os.chown(index, 4243, -1)
    output, messages = as_untrusted_user(site, code)
    assert output == "1 True\n" and "belongs to user 4243" in messages
    os.chown(index, 0, 0)
    index.chmod(0o600)
    output, messages = as_untrusted_user(site, code)
    assert output == "1 True\n" and "can't be read by this user" in messages
    # A path below an unreadable directory need not be an index.
    index.parent.chmod(0o700)
    assert as_untrusted_user(site, code) == ("1 True\n", "")


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "socket", "dangling"])
def test_not_a_regular_file(site, expected, tmp_path, kind):
    index = site / ".epcache" / "index"
    real = tmp_path / "elsewhere"
    os.rename(index, real)
    if kind == "link":
        index.symlink_to(real)
    elif kind == "dangling":
        index.symlink_to("nowhere")
    elif kind == "fifo":
        os.mkfifo(index)
    elif kind == "directory":
        index.mkdir()
    else:
        import socket

        sock = socket.socket(socket.AF_UNIX)
        old = os.getcwd()
        os.chdir(index.parent)
        sock.bind("index")
        os.chdir(old)
    found, messages = answer(group="g")
    assert found == expected[1]
    assert len(messages) == 1 and str(index) in messages[0]


def test_the_next_location_is_tried_when_an_index_is_invalid(site, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    index_writer.write(str(site), f"{tmp_path}/xdg/epcache{site}/index")
    reads = []
    # The first entry is the directory of the program, and may be listed in any case, as may a small directory.
    monkeypatch.setattr(sys, "path", [str(tmp_path / "nothing"), str(site)])
    monkeypatch.setattr(epcache, "_SMALL", 0)
    monkeypatch.setattr(posix, "listdir", lambda path: reads.append(path) or [], raising=True)
    put(site, b"no index")
    found, messages = answer(group="g")
    assert found == expected[1] and len(messages) == 1 and reads == []
    # A stale index is skipped without a warning if another one is fresh.
    rows, order = index_writer.rows_of(site)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "path", [str(site)])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    put(site, index_writer.render((1, 2, 3, 4), rows, order))
    assert answer(group="g") == (expected[1], [])


def test_the_warning_comes_once_and_names_the_caller(site):
    put(site, b"no index")
    _warning._warned.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            epcache.entry_points(group="g")
    (warning,) = caught
    assert pathlib.Path(warning.filename) == pathlib.Path(__file__)
    assert str(warning.message).splitlines()[1] == f"hint: epcache refresh {site}"


def test_the_hint_can_be_pasted_into_a_shell(tmp_path, monkeypatch):
    site = tmp_path / "it's a $HOME; site"
    add(site, "foo-1.dist-info", "[g]\na = m:f\n")
    index_writer.write(str(site))
    monkeypatch.setattr(sys, "path", [str(site)])
    put(site, b"")
    _, (message,) = answer()
    hint = message.splitlines()[1].replace("hint: epcache refresh", "printf %s")
    assert run("sh", "-c", hint) == str(site)


def test_a_name_of_control_characters_is_escaped_and_quoted(tmp_path, monkeypatch):
    site = tmp_path / "a\x1b[31m\n\u202e\x9b'; >pwned; \\'\udcff"
    add(site, "foo-1.dist-info", "[g]\na = m:f\n")
    index_writer.write(str(site))
    monkeypatch.setattr(sys, "path", [str(site)])
    put(site, b"")
    _, (message,) = answer()
    text, hint = message.splitlines()
    assert text.isprintable() and hint.isprintable()
    monkeypatch.chdir(tmp_path)
    for shell in ("sh", "bash"):
        command = hint.replace("hint: epcache refresh", "printf %s")
        done = subprocess.run([shell, "-c", command], stdout=subprocess.PIPE, check=True)
        assert not (tmp_path / "pwned").exists()
    assert done.stdout == os.fsencode(site)


def test_no_descriptor_is_left_open(site, expected):
    def descriptors():
        return sorted(os.listdir("/proc/self/fd"))

    whole = (site / ".epcache" / "index").read_bytes()
    before = descriptors()
    damaged = [
        whole,
        whole[:-9],
        b"",
        with_header(whole, b"opaque\t4", b"opaque\t9"),
        whole[:-20] + b"x" + whole[-19:],
    ]
    for data in damaged:
        put(site, data)
        for query in QUERIES:
            answer(**query)
        assert list(epcache.entry_points())[0].dist is not None
    assert descriptors() == before


def test_damage_that_only_a_later_site_directory_reveals(site, expected, tmp_path, monkeypatch):
    # The table of the first is needed to know which distributions of the second it hides.
    first = tmp_path / "first"
    add(first, "bar-0.dist-info")
    (first / ".epcache").mkdir()
    index = pathlib.Path(index_writer.write(str(first)))
    data = index.read_bytes()
    monkeypatch.setattr(sys, "path", [str(first), str(site)])
    right = answer(group="g")
    assert right == ([key for key in expected[1] if key[0] != "b"], [])
    index_writer.replace(str(index), data.replace(b"bar\tbar\t0", b"baz\tbaz\t0"))
    found, messages = answer(group="g")
    assert found == right[0]
    assert len(messages) == 1 and messages[0].startswith(f"{first}: the index {index} is damaged")
