"""The asynchronous iterator, and the programs of docs/howto/services.md."""

import asyncio
import re
import subprocess
import sys
import time

import pytest
from epcache.watcher import Watcher
from support.checkout import CHECKOUT
from support.interpreters import INTERPRETERS, READER

from .watcher_installers import pip_install, pip_upgrade, run

DOCUMENT = CHECKOUT / "docs" / "howto" / "services.md"


def names(installations):
    return [one.name for one in installations]


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    return site


def test_changes_are_yielded_as_they_come(site):
    async def main():
        found = []
        async for changes in Watcher([site]).watch(interval=0.01):
            assert changes
            found.append(changes)
            if len(found) == 1:
                run(pip_upgrade(site, "one", "1", "2"))
            else:
                return found

    async def install():
        await asyncio.sleep(0.05)
        run(pip_install(site, "one", "1"))

    async def both():
        found, _ = await asyncio.wait_for(asyncio.gather(main(), install()), 30)
        return found

    first, second = asyncio.run(both())
    assert (names(first.added), names(second.updated)) == (["one"], ["one"])


def test_changes_since_creation_are_yielded_at_once(site):
    async def main():
        watcher = Watcher([site])
        run(pip_install(site, "one", "1"))
        return await asyncio.wait_for(watcher.watch(interval=1000).__anext__(), 10)

    assert names(asyncio.run(main()).added) == ["one"]


def test_a_cancelled_task_loses_no_changes(site):
    async def follow(watcher, found):
        async for changes in watcher.watch(interval=0.001):
            found += names(changes.added)

    async def main():
        watcher = Watcher([site])
        found = []
        expected = []
        for number in range(40):
            task = asyncio.ensure_future(follow(watcher, found))
            await asyncio.sleep(number % 5 * 0.001)
            expected.append(f"name{number:02}")
            run(pip_install(site, expected[-1], "1"))
            await asyncio.sleep(number % 3 * 0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return expected, found + names(watcher.poll().added)

    expected, found = asyncio.run(main())
    assert sorted(found) == expected


def test_polling_does_not_import_asyncio():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from epcache.watcher import Watcher; Watcher().poll()"
    )
    code += "; assert 'asyncio' not in sys.modules"
    subprocess.run([sys.executable, "-S", "-c", code, READER], check=True)


def examples():
    """The programs of the document, by their first line."""
    found = re.findall(r"^```python\n(# (\w+\.py)\n.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return {name: text for text, name in found}


@pytest.mark.parametrize("version", ["3.9", "3.13"])
@pytest.mark.parametrize("name", ["plugins.py", "service.py"])
def test_the_documented_programs_notice_a_plugin(name, version, tmp_path):
    program = tmp_path / name
    program.write_text(examples()[name])
    site = tmp_path / "site"
    site.mkdir()
    output = tmp_path / "output"
    variables = {"PYTHONPATH": f"{READER}:{site}", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with open(output, "w") as stdout:
        process = subprocess.Popen(
            [INTERPRETERS[version], "-S", program], env=variables, stdout=stdout, stderr=subprocess.STDOUT
        )

    def wait_for_output(text):
        deadline = time.monotonic() + 20
        while text not in output.read_text():
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)

    try:
        wait_for_output("ready")
        run(pip_install(site, "unrelated", "1"))
        place = site / "greeting"
        place.mkdir()
        (place / "__init__.py").touch()
        (place / "plugin.py").write_text("def answer():\n    return 'hello'\n")
        information = site / "greeting-1.dist-info"
        information.mkdir()
        for file, text in {
            "METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n\n",
            "entry_points.txt": "[example.plugins]\nhi = greeting.plugin:answer\n",
            "RECORD": "",
            "INSTALLER": "pip",
        }.items():
            (information / file).write_text(text)
        wait_for_output("hi: hello")
        run(pip_upgrade(site, "unrelated", "1", "2"))
        wait_for_output("unrelated 1 -> 2")
    finally:
        process.kill()
        process.wait()
