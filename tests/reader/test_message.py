"""The metadata of a distribution from an index: a message that reads its file when that is first needed."""

import subprocess

import pytest
from support import index_writer
from support.environments import add
from support.interpreters import READER

BODY = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: s\n  folded\nKeywords: a b\nDynamic: x\n"
TEXTS = {
    "plain": BODY + "\nA description.\n",
    "without_body": BODY,
    "repeated": "Name: {name}\nName: other\nVersion: 1\nVersion: 2\nSummary: a\nSummary: b\n",
    "folded": "Name: {name}\nVersion:\n 1\n",
    "without_version": "Name: {name}\nSummary: s\n",
    "without_name": "Version: 1\nSummary: s\n",
    "mbox": "From me\nName: {name}\nVersion: 1\n\nbody\n",
    "defect": "Name: {name}\nVersion: 1\nmalformed\nSummary: s\n",
    "blank_first": "\nName: {name}\nVersion: 1\n",
    "crlf": "Name: {name}\r\nVersion: 1\r\n\r\nbody\r\n",
    "trailing": "Name: {name}  \nVersion: 1\x85\x0b\n",
    "beyond_ascii": "Name: {name}\nVersion: 1\nSummary: é\nAuthor: =?utf-8?q?x?=\n",
    "multipart": "Name: {name}\nVersion: 1\nContent-Type: multipart/mixed; boundary=x\n\n--x\nA: b\n\n--x--\n",
    "required": BODY
    + "Requires-Dist: a; extra == 'x'\nrequires-dist: b >=1\nProvides-Extra: x\nRequires-Python: >=3.8\n",
    "unrequired": BODY + "\nRequires-Dist: c\n",
    "folded_requirement": BODY + "Requires-Dist: a\nRequires-Dist: b;\n extra == 'x'\n",
    "empty": "",
}


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    for number, (name, text) in enumerate(TEXTS.items()):
        suffix = "egg-info" if number % 3 == 2 else "dist-info"
        directory = add(site, f"{name}-1.{suffix}")
        file = directory / ("METADATA" if suffix == "dist-info" else "PKG-INFO")
        file.write_bytes(text.format(name=name).encode())
    (site / "single.egg-info").write_text("Name: single\nVersion: 3\nSummary: s\n")
    (site / ".epcache").mkdir()
    index_writer.write(str(site))
    return site


START = """
import copy, json, pathlib, pickle, posix, sys, threading, types, warnings
sys.path[:0] = [{site!r}, {reader!r}]
SITE = pathlib.Path({site!r})
read = []

def note(event, arguments):
    # 3.9 opens a file through os.open, which is an event of its own, without a mode.
    if event == 'open' and '-info' in str(arguments[0]) and arguments[1] not in (None, 'w') and pathlib.Path(arguments[0]).exists():
        read.append(arguments[0])

sys.addaudithook(note)
import importlib.metadata as M, email.message
import epcache
PLAIN = M.PathDistribution
epcache.accelerate()

def plain(name):
    (path,) = [path for path in SITE.glob('*-info') if path.name.partition('-')[0].partition('.')[0] == name]
    return PLAIN(path).metadata

def metadata(name):
    (dist,) = [dist for dist in M.distributions() if dist._path.name.partition('-')[0].partition('.')[0] == name]
    return dist.metadata

Message = type(plain('plain'))
del read[:]
"""


@pytest.fixture
def ask(python, site):
    """Runs code in an interpreter that has `site` on its path."""

    def ask(code, *flags):
        start = START.format(site=str(site), reader=str(READER))
        command = [python, "-S", "-E", *flags, "-c", start + code]
        done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(site)})
        assert done.returncode == 0, done.stderr
        return done

    return ask


def test_name_and_version_are_answered_without_reading(ask):
    ask(
        """
for name, version in ('plain', '1.0'), ('repeated', '1'), ('crlf', '1'), ('single', '3'), ('mbox', '1'):
    found = metadata(name)
    assert found['Name'] == found['name'] == found.get('NAME') == found.get('Name', 'x') == name
    assert found['Version'] == found.get('version') == version
    assert 'Name' in found and 'version' in found and found
    assert isinstance(found, Message) and isinstance(found, email.message.Message)
    assert found.__class__ is Message
    get = found.get
    assert read == [], read
    assert found['Summary'] is not None or name not in ('plain', 'single')
    assert len(read) == 1, read
    assert type(found) is Message and get('Name') == name and get('none', 1) == 1
    assert found['Version'] == version and len(read) == 1, read
    del read[:]
"""
    )


def test_the_most_common_idioms_open_nothing(ask):
    ask(
        """
WITH_NAME = {'plain', 'without_body', 'repeated', 'mbox', 'defect', 'crlf', 'beyond_ascii', 'multipart', 'single'}
found = {dist.metadata['Name']: dist.version for dist in M.distributions()}
assert WITH_NAME < set(found), found
# Those without a name, or whose version is folded.
assert {pathlib.Path(path).relative_to(SITE).parts[0].partition('-')[0] for path in read} <= {
    'folded', 'without_version', 'without_name', 'blank_first', 'empty'}, read
"""
    )


# Each is asked of a message of its own, and the whole content is compared after it.
PROBES = """
def raised(function, message):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            found = function(message)
        except Exception as error:
            found = type(error), str(error)
    return found, [(warning.category, str(warning.message), warning.filename) for warning in caught]

def assign(message):
    message['Name'] = 'new'

def delete(message):
    del message['name']

def change(**attributes):
    def change(message):
        for name, value in attributes.items():
            setattr(message, name, value)
    return change

def renew(message):
    return vars(pickle.loads(pickle.dumps(message)))

PROBES = [
    lambda m: m['Name'], lambda m: m['version'], lambda m: m['none'], lambda m: m['Summary'], lambda m: m[1], lambda m: m[b'Name'],
    lambda m: m.get('Name'), lambda m: m.get('Name', 1), lambda m: m.get('none', 1), lambda m: m.get('none', failobj=2), lambda m: m.get(3),
    lambda m: m.get(name='Version'), lambda m: m.__getitem__('Version'), lambda m: m.__contains__('Version'),
    lambda m: 'Name' in m, lambda m: 'version' in m, lambda m: 'none' in m, lambda m: 'Requires-Dist' in m, lambda m: 1 in m,
    lambda m: m.get_all('Name'), lambda m: m.get_all('Version'), lambda m: m.get_all('none'), lambda m: m.get_all('none', ()),
    lambda m: m.get_all('Requires-Dist'), lambda m: m.get_all('Summary'), lambda m: m.get_all('requires-dist', ()), lambda m: m.get_all(5),
    bool, len, list, str, bytes, lambda m: m.keys(), lambda m: m.values(), lambda m: m.items(), lambda m: list(m.raw_items()),
    lambda m: m.as_string(), lambda m: m.as_bytes(), lambda m: m.json, lambda m: json.dumps(list(m.items())), lambda m: m.get_payload(),
    lambda m: m.is_multipart(), lambda m: m.get_content_type(), lambda m: len(list(m.walk())), lambda m: m.get_unixfrom(),
    lambda m: m.policy, lambda m: [type(defect) for defect in m.defects], lambda m: m.preamble, lambda m: m.none, lambda m: hasattr(m, 'json'),
    lambda m: sorted(vars(m)), lambda m: vars(m).get('_payload'), lambda m: m.__dict__['_headers'], dir, lambda m: m.__reduce_ex__(2)[0],
    lambda m: pickle.dumps(m), lambda m: pickle.dumps(m, 0), renew, lambda m: vars(copy.copy(m)), lambda m: sorted(vars(copy.deepcopy(m))),
    lambda m: type(m)(m).items(), lambda m: m.__class__(m).items(), lambda m: types.SimpleNamespace(m=m).m is m, lambda m: m == m, lambda m: m != m, lambda m: {m: 1}[m],
    lambda m: repr(m).partition(' at ')[0], lambda m: m.__class__, lambda m: m.__module__, lambda m: m.__doc__, lambda m: m.__eq__(1),
    lambda m: type(m).__name__, lambda m: type(m).__qualname__, lambda m: type(m).__module__, lambda m: type(m).__doc__,
    assign, delete, lambda m: m.replace_header('Name', 'x'), lambda m: m.add_header('X', 'y', a='b'), lambda m: m.set_payload('p'),
    lambda m: m.set_unixfrom('u'), lambda m: m.set_raw('a', 'b'), change(_payload='p', extra=1), lambda m: delattr(m, 'defects'),
    lambda m: delattr(m, 'none'), lambda m: setattr(m, '__class__', email.message.Message),
]

def same(one, other):
    if one == other:
        return True
    # Contents have parts that are compared by identity.
    return pickle.dumps(one) == pickle.dumps(other)

NAMES = [path.name.partition('-')[0].partition('.')[0] for path in SITE.glob('*-info')]
"""


def test_every_question_has_the_answer_of_a_message_that_was_read(ask):
    ask(
        PROBES
        + """
assert len(NAMES) == 18
for name in NAMES:
    for number, probe in enumerate(PROBES):
        ours, theirs = metadata(name), plain(name)
        found, expected = raised(probe, ours), raised(probe, theirs)
        assert same(found, expected), (name, number, found, expected)
        assert type(ours) in (Message, email.message.Message) or not [warn for warn in found[1]], number
        assert same(vars(ours), vars(theirs)) and list(vars(ours)) == list(vars(theirs)), (name, number, vars(ours))
        assert type(ours) is type(theirs) and pickle.dumps(ours) == pickle.dumps(theirs), (name, number)
"""
    )


def test_a_missing_header_is_reported_at_the_line_that_asked(ask):
    ask(
        """
lines = []
for found in metadata('plain'), plain('plain'):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert found['none'] is None
    lines += [(warning.filename, warning.lineno, warning.category) for warning in caught]
assert lines[::2] == lines[1::2] and len(lines) == 2 * (sys.version_info >= (3, 12)), lines
"""
    )


def test_what_has_changed_is_read(ask):
    ask(
        """
file = SITE / 'plain-1.dist-info' / 'METADATA'
kept = {dist.version: dist for dist in M.distributions() if dist._path.name.startswith('plain-')}['1.0']
assert kept.metadata['Name'] == 'plain' and read == []
before = kept.metadata
(SITE / 'new').touch()
assert kept.metadata['Name'] == 'plain' and read == []
file.write_text('Name: Plain\\nVersion: 2\\n')
assert kept.metadata['Name'] == 'Plain' and kept.metadata['Version'] == '2'
assert len(read) == 2, read
# A message has the name and the version of the moment when it was made.
assert before['Version'] == '1.0' and len(read) == 2
posix.rename(SITE / 'plain-1.dist-info', SITE / 'gone')
assert len(kept.metadata) == 0 and before['Name'] == 'plain'
"""
    )


def test_an_edited_file_is_noticed_in_strict_mode(ask):
    ask(
        """
import os
os.environ['EPCACHE'] = 'strict'
assert metadata('crlf')['Name'] == 'crlf' and read == []
(SITE / 'crlf-1.dist-info' / 'METADATA').write_text('Name: edited\\nVersion: 1\\n')
assert metadata('crlf')['Name'] == 'edited' and len(read) == 1
"""
    )


def test_a_replaced_function_is_called(ask):
    ask(
        """
original = M.Distribution.metadata
M.Distribution.metadata = property(lambda self: {'Name': 'replaced'})
assert metadata('plain')['Name'] == 'replaced'
M.Distribution.metadata = {'Name': 'a value'}
assert metadata('plain')['Name'] == 'a value'
M.Distribution.metadata = original
assert read == []
original = PLAIN.read_text
PLAIN.read_text = lambda self, name: 'Name: text\\nVersion: 1\\n'
assert metadata('plain')['Name'] == 'text' and read == []
PLAIN.read_text = original
assert metadata('plain')['Name'] == 'plain' and read == []
"""
    )


def test_threads_that_ask_at_once_get_the_same_message(ask):
    ask(
        """
sys.setswitchinterval(1e-6)
for _ in range(300):
    found = metadata('plain')
    start, results = threading.Barrier(4), []

    def change(number):
        start.wait()
        found['X'] = str(number)
        results.append(found['Name'])

    threads = [threading.Thread(target=change, args=[number]) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results == ['plain'] * 4 and type(found) is Message
    assert sorted(found.get_all('X')) == ['0', '1', '2', '3'], found.items()
"""
    )


def test_an_index_of_the_cache_user_does_not_answer_for_the_file(ask):
    ask(
        """
for dist in M.distributions():
    if dist._path.name.startswith('plain-'):
        dist._view.index.untrusted = True
        assert dist.metadata['Name'] == 'plain' and type(dist.metadata) is Message and len(read) == 2, read
"""
    )


def test_what_pip_asks_for_is_answered_without_reading(ask):
    ask(
        """
for name in 'required', 'unrequired', 'folded_requirement':
    found, expected = metadata(name), plain(name)
    del read[:]
    for header in 'Requires-Dist', 'provides-extra', 'Requires-Python':
        assert found.get_all(header) == expected.get_all(header), (name, header)
        assert found.get_all(header, 'x') == expected.get_all(header, 'x'), (name, header)
        assert found.get(header, 1) == expected.get(header, 1), (name, header)
        assert (header in found) == (header in expected), (name, header)
    assert len(read) == (name == 'folded_requirement'), read
assert M.requires('required') == ["a; extra == 'x'", 'b >=1'], M.requires('required')
assert M.metadata('required').get_all('Requires-Dist') is not M.metadata('required').get_all('Requires-Dist')
# The index has one Name, and the file may have more.
assert metadata('repeated').get_all('Name') == ['repeated', 'other']
"""
    )
