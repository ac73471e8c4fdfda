"""``epcache enable`` in virtual environments of every interpreter: effect on starts, and remaining files."""

import os
import shutil
import subprocess

import pytest
from support.environments import add
from support.interpreters import OLDER, READER, run

FINDERS = """
import sys
print([getattr(finder, "__name__", "") for finder in sys.meta_path].count("epcache_startup"))
"""
LOADED = "print([name for name in sys.modules if name.partition('.')[0] == 'epcache'])"
ENTRY_POINTS = """
import sys, importlib.metadata
points = importlib.metadata.entry_points()
points = points.select(group="g") if hasattr(points, "select") else points["g"]
print([(point.name, point.value) for point in points])
"""


class Environment:
    """A virtual environment with the package as pip leaves it, and another distribution."""

    def __init__(self, directory):
        self.python = directory / "bin" / "python"
        (self.site,) = directory.glob("lib/python3.*/site-packages")
        self.package = self.site / "epcache"
        self.startup = self.site / "epcache_startup"
        for package in (self.package, self.startup):
            shutil.copytree(READER / package.name, package, ignore=shutil.ignore_patterns("__pycache__"))
        add(self.site, "foo-1.dist-info", "[g]\nfoo = m:f\n")
        # The first .pth file makes an interpreter slower, whatever its content.
        (self.site / "other.pth").write_text("# nothing\n")

    def starts(self, code):
        """The output of a program, which must print nothing on standard error."""
        command = [str(self.python), "-I", "-B", "-c", code]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.strip()

    def calls(self, tmp_path, code, **variables):
        """The system calls of a program that name a path."""
        trace = tmp_path / "trace"
        command = [self.python, "-s", "-B", "-c", code]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
        run("strace", "-f", "-o", trace, "-e", "trace=%file", *command, env=env)
        # An empty path means that the call is about a descriptor.
        return [line for line in trace.read_text().splitlines() if "AT_EMPTY_PATH" not in line]

    def content(self):
        """Every file and link below the site directory, except those of the index."""
        found = {}
        for directory, names, files in os.walk(self.site):
            names[:] = [name for name in names if name != ".epcache"]
            for name in names + files:
                path = os.path.join(directory, name)
                content = None
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        content = file.read()
                found[path] = os.lstat(path).st_mode, content
        return found


@pytest.fixture(scope="session")
def bare(tmp_path_factory, python):
    directory = tmp_path_factory.mktemp("bare") / "venv"
    run(python, "-m", "venv", "--without-pip", directory)
    return directory


@pytest.fixture
def environment(tmp_path, bare):
    # The names of the packages in the path of the environment must not matter.
    directory = tmp_path / "epcache_startup" / "epcache"
    shutil.copytree(bare, directory, symlinks=True)
    return Environment(directory)


def test_two_site_directories_share_one_finder(environment, epcache, tmp_path):
    # The user's directory is in place of the system's: the same function adds both.
    (environment.python.parent.parent / "pyvenv.cfg").write_text("include-system-site-packages = true\n")
    base = tmp_path / "base"
    own = base / environment.site.relative_to(environment.python.parent.parent)
    shutil.copytree(environment.site, own)
    epcache("enable", environment.site, "--pip-hook")
    epcache("enable", own, "--accelerate")
    done = subprocess.run(
        [str(environment.python), "-B", "-c", FINDERS + ENTRY_POINTS + LOADED],
        env={**os.environ, "PYTHONUSERBASE": str(base)},
        check=False,
        capture_output=True,
        text=True,
    )
    finders, answer, loaded = done.stdout.splitlines()
    assert (finders, done.stderr) == ("1", "")
    assert "('foo', 'm:f')" in answer and "epcache._accelerate" in loaded


def test_a_start_adds_one_finder_and_loads_one_module(environment, epcache):
    modules = "import sys; print(sorted(set(sys.modules) - {'epcache_startup'}))"
    before = environment.starts(modules)
    assert environment.starts(FINDERS) == "0"
    epcache("enable", environment.site, "--accelerate", "--pip-hook")
    assert environment.starts(FINDERS) == "1"
    assert environment.starts(modules) == before


def test_a_program_that_asks_for_metadata_is_accelerated(environment, epcache):
    plain = environment.starts(ENTRY_POINTS)
    assert plain == "[('foo', 'm:f')]"
    epcache("enable", environment.site, "--accelerate")
    answer, loaded = environment.starts(ENTRY_POINTS + LOADED).splitlines()
    assert answer == plain
    assert "epcache._accelerate" in loaded


def test_the_hook_alone_accelerates_nothing(environment, epcache):
    epcache("enable", environment.site, "--pip-hook")
    assert environment.starts(ENTRY_POINTS + LOADED).splitlines() == ["[('foo', 'm:f')]", "[]"]


def test_another_choice_replaces_the_first(environment, epcache):
    epcache("enable", environment.site, "--accelerate")
    epcache("enable", environment.site, "--pip-hook")
    assert environment.starts(FINDERS) == "1"
    assert environment.starts(ENTRY_POINTS + LOADED).splitlines()[1] == "[]"


def test_without_the_package_every_program_starts_as_before(environment, epcache):
    epcache("enable", environment.site, "--accelerate", "--pip-hook")
    shutil.rmtree(environment.package)
    assert environment.starts(ENTRY_POINTS) == "[('foo', 'm:f')]"
    shutil.rmtree(environment.startup)
    assert environment.starts(FINDERS + ENTRY_POINTS).splitlines() == ["0", "[('foo', 'm:f')]"]


def test_while_an_installer_replaces_the_package_programs_run_as_before(environment, epcache):
    epcache("enable", environment.site, "--accelerate", "--pip-hook")
    (environment.site / "pip/_internal").mkdir(parents=True)
    (environment.site / "pip/_internal/__init__.py").touch()
    for name in ("epcache/_accelerate.py", "epcache/_pip_hook.py", "epcache/__init__.py"):
        (environment.site / name).unlink()
        assert environment.starts(ENTRY_POINTS + "import pip._internal") == "[('foo', 'm:f')]"


@pytest.mark.parametrize("left", ["the file", "both packages"])
def test_no_package_of_another_directory_is_imported(environment, epcache, tmp_path, left):
    epcache("enable", environment.site, "--accelerate")
    elsewhere = tmp_path / "elsewhere"
    others = [environment.package]
    if left == "the file":
        others.append(environment.startup)
    for package in others:
        (elsewhere / package.name).mkdir(parents=True)
        (elsewhere / package.name / "__init__.py").write_text("raise SystemExit(7)\n")
        if left == "the file":
            shutil.rmtree(package)
    done = subprocess.run(
        [str(environment.python), "-B", "-c", ENTRY_POINTS],
        env={**os.environ, "PYTHONPATH": str(elsewhere)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[('foo', 'm:f')]\n", "")


def test_sys_path_is_as_before(environment, epcache):
    before = environment.starts("import sys; print(sys.path)")
    epcache("enable", environment.site, "--accelerate", "--pip-hook")
    assert environment.starts("import sys; print(sys.path)") == before


@pytest.mark.parametrize("name", ["epcache.py", "epcache/__init__.py"])
def test_a_program_with_another_module_of_that_name_is_left_alone(environment, epcache, tmp_path, name):
    epcache("enable", environment.site, "--accelerate")
    other = tmp_path / "project" / name
    other.parent.mkdir(parents=True)
    other.write_text("is_other = True\n")
    front = f"import sys; sys.path.insert(0, {str(tmp_path / 'project')!r})\n"
    asking = ENTRY_POINTS + "import epcache; print(epcache.is_other)"
    assert environment.starts(front + asking).splitlines() == ["[('foo', 'm:f')]", "True"]


def test_a_directory_of_that_name_without_a_package_is_ignored(environment, epcache, tmp_path):
    # As when the current directory contains the sources of the project.
    epcache("enable", environment.site, "--accelerate")
    (tmp_path / "project" / "epcache").mkdir(parents=True)
    front = f"import sys; sys.path.insert(0, {str(tmp_path / 'project')!r})\n"
    answer, loaded = environment.starts(front + ENTRY_POINTS + LOADED).splitlines()
    assert answer == "[('foo', 'm:f')]" and "epcache._accelerate" in loaded


def test_two_versions_of_the_start_up_package_find_each_the_package(environment, epcache):
    epcache("enable", environment.site, "--accelerate")
    again = "import sys; del sys.modules['epcache_startup']; import epcache_startup as again\n"
    again += "again.enable('accelerate')\n"
    answer, finders, loaded = environment.starts(again + ENTRY_POINTS + FINDERS + LOADED).splitlines()
    assert (answer, finders) == ("[('foo', 'm:f')]", "2") and "epcache._accelerate" in loaded


def test_the_package_is_imported_as_without_the_start_up_package(environment, epcache):
    code = """
import sys, epcache
spec = epcache.__spec__
print(epcache.__file__, epcache.__path__, epcache.__package__, type(epcache.__loader__).__name__, epcache.__cached__)
print(spec.name, spec.origin, spec.submodule_search_locations, spec.has_location, spec.parent, spec.cached)
"""
    before = environment.starts(code)
    epcache("enable", environment.site, "--accelerate")
    assert environment.starts(code) == before
    (environment.package / "__init__.py").unlink()
    missing = "try:\n import epcache; epcache.version\nexcept (ImportError, AttributeError): print('missing')"
    assert environment.starts(missing) == "missing"


# What has happened when the package is removed, with the modules of it that have been imported by then.
BEFORE = {
    "nothing": ("", 0),
    "the import": ("import importlib.metadata\n", 0),
    "a version": ("import importlib.metadata; importlib.metadata.version('foo')\n", 1),
}


@pytest.mark.parametrize("before", BEFORE)
def test_the_package_may_be_removed_while_a_program_runs(environment, epcache, before):
    epcache("enable", environment.site, "--accelerate")
    epcache("refresh", environment.site)
    code, imported = BEFORE[before]
    removal = f"{code}import shutil; shutil.rmtree({str(environment.package)!r})\n"
    again = "assert importlib.metadata.version('foo') == '1'\n"
    answer, loaded = environment.starts(removal + ENTRY_POINTS + again + LOADED).splitlines()
    assert answer == "[('foo', 'm:f')]" and (loaded != "[]") == bool(imported)


def test_a_program_without_the_site_directory_on_its_path_is_left_alone(environment, epcache):
    # As in pip's isolated builds, whose sitecustomize removes it.
    epcache("enable", environment.site, "--accelerate")
    removal = f"import sys; sys.path.remove({str(environment.site)!r})\n"
    asking = "import importlib.metadata; print(list(importlib.metadata.distributions()))\n"
    assert environment.starts(removal + asking + LOADED).splitlines() == ["[]", "[]"]


def test_disabling_leaves_every_byte_as_it_was(environment, epcache):
    before = environment.content()
    for choice in (["--accelerate"], ["--pip-hook"], ["--accelerate", "--pip-hook"]):
        epcache("enable", environment.site, *choice)
        assert environment.content() != before
        environment.starts(ENTRY_POINTS)
        epcache("disable", environment.site)
        assert environment.content() == before
    assert environment.starts(FINDERS) == "0"


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace on this machine")
def test_a_start_makes_a_bounded_number_of_additional_calls(environment, epcache, tmp_path):
    run(environment.python, "-m", "compileall", "-q", environment.startup)

    before = environment.calls(tmp_path, "pass")
    epcache("enable", environment.site, "--accelerate", "--pip-hook")
    after = environment.calls(tmp_path, "pass")
    # The file and the guard, twice in a virtual environment; the package and its byte code, once.
    assert 2 <= len(after) - len(before) <= 18, "\n".join(line for line in after if "epcache" in line)


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace on this machine")
def test_an_import_without_a_question_makes_no_additional_calls(environment, epcache, tmp_path):
    run(environment.python, "-m", "compileall", "-q", environment.startup)
    importing = "import sys, importlib.metadata"

    def calls(**variables):
        return [len(environment.calls(tmp_path, code, **variables)) for code in ("pass", importing)]

    plain = calls()
    epcache("enable", environment.site, "--accelerate")
    start, imported = calls()
    assert imported - start == plain[1] - plain[0]
    assert environment.starts(importing + "\n" + LOADED) == "[]"
    # No extension module is looked for.
    version = environment.calls(tmp_path, "import importlib.metadata as M; M.version('foo')")
    assert any("/epcache/__pycache__" in call for call in version)
    assert not any("/epcache/__init__." in call and ".so" in call for call in version)
    # Nothing but the start, which can't know the variable.
    start, imported = calls(EPCACHE="off")
    assert imported - start == plain[1] - plain[0]


@pytest.mark.skipif(not OLDER, reason="no Python before 3.9 on this machine")
@pytest.mark.parametrize("version", OLDER)
def test_an_interpreter_before_3_9_is_refused_and_starts_as_before(version, epcache, tmp_path):
    run(OLDER[version], "-m", "venv", "--without-pip", tmp_path / "venv")
    environment = Environment(tmp_path / "venv")
    before = environment.content()
    command = [epcache.binary, "enable", environment.site, "--accelerate", "--pip-hook"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"python{version} is older than 3.9" in done.stderr
    assert environment.content() == before
    # Where it was enabled in a directory that several versions share.
    shared = tmp_path / "site-packages"
    shutil.copytree(environment.site, shared)
    epcache("enable", shared, "--accelerate", "--pip-hook")
    shutil.copy(shared / "epcache.pth", environment.site)
    (environment.site / "importlib_metadata.py").write_text("print('imported')\n")
    assert environment.starts("import importlib_metadata") == "imported"
    assert environment.starts(FINDERS) == "0"
