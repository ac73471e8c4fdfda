"""The hooks of docs/examples/hooks in an environment, compared with what Twisted, argcomplete, click and pip make."""

import json
import os
import time

import pytest
from support import wheels
from support.checkout import CHECKOUT
from support.environments import CACHE, uv
from support.interpreters import INTERPRETERS

from .twins import PIPS, Environment, variables

EXAMPLES = CHECKOUT / "docs/examples/hooks"
HOOKS = ["twisted-plugins", "completions", "byte-code"]
# What Twisted's documentation says to run after an installation.
LIST_PLUGINS = "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"
# Prints the content of a cache of plugins; only Twisted can read it.
SHOW = """
import json, pickle, sys
with open(sys.argv[1], "rb") as file:
    cache = pickle.load(file)
print(json.dumps({
    name: [module.moduleName, module.description, [
        [plugin.name, plugin.description, [interface.__identifier__ for interface in plugin.provided]]
        for plugin in module.plugins
    ]] for name, module in cache.items()
}))
"""
# Prints digests of what is compiled, after a check that it is of the present source. Byte code is written again
# without references, which depend on what else the compiler did before.
DIGESTS = """
import hashlib, json, marshal, pathlib, sys
digests = {}
for path in pathlib.Path(sys.argv[1]).glob("__pycache__/*.pyc"):
    content = path.read_bytes()
    source = (path.parent.parent / (path.name.split(".")[0] + ".py")).stat()
    assert content[4:16] == b"".join(n.to_bytes(4, "little") for n in (0, int(source.st_mtime), source.st_size))
    code = marshal.dumps(marshal.loads(content[16:]), 2)
    digests[path.name] = hashlib.sha256(content[:4] + code).hexdigest()
print(json.dumps(digests))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the libraries, pip's hook, and the three hooks, each from a wheel."""
    version, pip = PIPS["newest-3.13"]
    directory = tmp_path_factory.mktemp("registered")
    made = Environment(directory / "environment", INTERPRETERS[version], pip)
    made.variables = variables(directory, UV_CACHE_DIR=str(CACHE / "uv"), UV_LINK_MODE="copy")
    made.variables.pop("PYTHONDONTWRITEBYTECODE")
    hooks = [wheel_of(directory, name) for name in HOOKS]
    call(made, uv(), "pip", "install", "--python", made.python, "twisted", "argcomplete", "click", *hooks)
    call(made, made.program, "enable", "--pip-hook", "--hooks", made.site)
    call(made, made.program, "refresh", made.site)
    return made


def wheel_of(directory, name):
    """A wheel with a hook: a module, and the registration among its data files."""
    name_of_wheel = name.replace("-", "_") + "_example"
    module = name.replace("-", "_") + "_hook.py"
    data = f"{name_of_wheel}-1.data/data/share/epcache/hooks.d/{name}.toml"
    files = {module: EXAMPLES / module, data: EXAMPLES / f"{name}.toml"}
    return wheels.make(
        directory, name_of_wheel, "1", **{path: file.read_text() for path, file in files.items()}
    )


def call(environment, *command, **more):
    status, output, complaint = environment.call(*command, env={**environment.variables, **more})
    assert status == 0, output + complaint
    # A hook that fails is reported in a line.
    assert "hook " not in complaint, complaint
    return output


def pip(environment, *arguments):
    """Run pip, whose hook refreshes the index at exit, and wait until the registered hooks have ended."""
    call(environment, environment.python, "-m", "pip", *arguments)
    end = time.monotonic() + 20
    # The refresh continues when pip has ended. What hooks have to be given is recorded before the index is there.
    while not (environment.state() in ("fresh", "unsettled") and not pending(environment)):
        assert time.monotonic() < end, log(environment)
        time.sleep(0.05)
    assert all(row["succeeded"] for row in log(environment)), log(environment)


def with_uv(environment, *arguments):
    """Run uv by `epcache run`."""
    command = [uv(), "pip", *arguments, "--python", environment.python]
    call(environment, environment.program, "run", environment.site, "--", *command)


def log(environment):
    command = [environment.program, "hooks", "log", "--json", "--venv", environment.directory]
    return json.loads(call(environment, *command))


def pending(environment):
    return any(row["pending"] for row in log(environment))


def assert_plugins_are_cached_as_by_twisted(environment, *, plugin):
    """Compare the hook's cache with the one that Twisted makes if there is none."""
    cache = environment.site / "twisted/plugins/dropin.cache"
    by_hook = cache.read_bytes()
    cache.unlink()
    call(environment, environment.python, "-Ic", LIST_PLUGINS)
    assert by_hook == cache.read_bytes()
    assert (b"twisted.plugins.fd_endpoint" in by_hook) == plugin and b"twisted.plugins.twisted_web" in by_hook


def test_plugins_are_cached_as_by_twisted(environment):
    # Its plugin does not need what it requires.
    with_uv(environment, "install", "--no-deps", "daphne==4.1.2")
    assert_plugins_are_cached_as_by_twisted(environment, plugin=True)
    pip(environment, "uninstall", "--yes", "daphne")
    assert_plugins_are_cached_as_by_twisted(environment, plugin=False)
    pip(environment, "install", "--no-deps", "daphne==4.1.0")
    assert_plugins_are_cached_as_by_twisted(environment, plugin=True)


def test_a_plugin_that_is_older_than_the_cache_is_read(environment):
    """Package managers keep the time of the build. Twisted alone would not read such a file again."""
    with_uv(environment, "install", "--no-deps", "daphne==4.1.0")
    plugin = environment.site / "twisted/plugins/fd_endpoint.py"
    plugin.write_text(plugin.read_text() + "\nanother = parser\n")
    os.utime(plugin, (0, 0))
    (metadata,) = environment.site.glob("daphne-*.dist-info")
    metadata.rename(metadata.with_name("daphne-4.1.1.dist-info"))
    text = metadata.with_name("daphne-4.1.1.dist-info") / "METADATA"
    text.write_text(text.read_text().replace("Version: 4.1.0", "Version: 4.1.1"))
    call(environment, environment.program, "refresh", environment.site)
    assert b"another" in (environment.site / "twisted/plugins/dropin.cache").read_bytes()
    assert_plugins_are_cached_as_by_twisted(environment, plugin=True)


def completions(environment):
    """The names and the texts of the completions that the hook has written."""
    directory = environment.site / ".epcache/hook-cache/completions/bash-completion/completions"
    found = {path: path.read_text().split("\n", 1) for path in directory.iterdir()}
    for path, (first, _) in found.items():
        assert first.startswith(f"# {environment.site} "), first
        # Bash accepts it, and completes the command.
        shell = call(environment, "bash", "-c", '. "$0" && complete -p "$1"', path, path.name)
        assert shell.endswith(f" {path.name}\n"), shell
    return {path.name: text for path, (_, text) in found.items()}


def test_completions_are_those_of_argcomplete_and_click(environment):
    # Its own programs complete themselves.
    before = completions(environment)
    assert "register-python-argcomplete" in before
    # pipx uses argcomplete; userpath, which it requires, uses click.
    for install, uninstall in [(with_uv, pip), (pip, with_uv)]:
        install(environment, "install", "pipx")
        bin = environment.directory / "bin"
        assert completions(environment) == before | {
            "pipx": call(environment, bin / "register-python-argcomplete", "pipx"),
            "userpath": call(environment, bin / "userpath", _USERPATH_COMPLETE="bash_source"),
        }
        answer = {"COMP_WORDS": "userpath ver", "COMP_CWORD": "1", "_USERPATH_COMPLETE": "bash_complete"}
        assert call(environment, bin / "userpath", **answer) == "plain,verify\n"
        uninstall(environment, "uninstall", "pipx", *(["--yes"] if uninstall is pip else []))
        assert set(completions(environment)) == {*before, "userpath"}
        uninstall(environment, "uninstall", "userpath", *(["--yes"] if uninstall is pip else []))
        assert completions(environment) == before


def byte_code(environment):
    """Digests of the compiled modules of pluggy, by the names of the files."""
    return json.loads(call(environment, environment.python, "-BIc", DIGESTS, environment.site / "pluggy"))


def test_byte_code_is_that_of_pip(environment):
    install = ["install", "--no-deps", "pluggy==1.5.0"]
    # The hook leaves what pip has compiled.
    pip(environment, *install)
    by_pip = byte_code(environment)
    with_uv(environment, "uninstall", "pluggy")
    assert byte_code(environment) == {}
    # uv compiles nothing unless asked to.
    with_uv(environment, *install)
    assert byte_code(environment) == by_pip and len(by_pip) > 5
