"""epcache on Debian trixie, from the first installation to the purge, with real packages.

The tests are the history of one system and run in this order; each leaves the index right.
"""

import os
import re
import shutil

import pytest

from . import chroot, deb, trace
from . import debian_system as debian
from .debian_system import INDEX, PROGRAM, SITE, assert_index_right, by_importlib, read, traced, written

# Installed before epcache, so that its first installation finds distributions.
BEFORE = ["python3-babel", "python3-coverage", "python3-docutils", "python3-setuptools", "python3-wheel"]
PACKAGES = """
    black pylint python3-alembic python3-autopep8 python3-bandit python3-build python3-celery
    python3-chardet python3-charset-normalizer python3-click-plugins python3-cliff python3-dotenv
    python3-flake8 python3-flask python3-gunicorn python3-hypothesis python3-isort
    python3-jinja2 python3-jsonschema python3-keyring python3-keystoneauth1 python3-mako
    python3-markdown python3-markdown-it python3-mccabe python3-nose2 python3-oslo.config
    python3-oslo.log python3-paste python3-pastedeploy python3-pbr python3-pip
    python3-pycodestyle python3-pygments python3-pyramid python3-pytest python3-pytest-asyncio
    python3-pytest-cov python3-pytest-mock python3-pytest-timeout python3-pytest-xdist
    python3-sphinx python3-stevedore python3-tqdm python3-twisted python3-virtualenv
    python3-waitress python3-webtest tox
""".split()
LOCAL_SOURCE = "/etc/apt/sources.list.d/local.list"


@pytest.fixture(scope="module")
def system():
    ours = deb.epcache_packages()
    with chroot.unpacked("trixie", debian.BASE) as system:
        system.apt("install", *BEFORE)
        for package in ours:
            shutil.copy(package, system.path("/srv"))
        yield system


def directories(distributions):
    return {distribution["directory"] for distribution in distributions}


def directory_of(system, name):
    """The directory of the distribution `name`."""
    [found] = [one["directory"] for one in by_importlib(system)["distributions"] if one["name"] == name]
    return found


def originals(system, *names):
    """The .deb files of the packages `names`, as the archive has them."""
    place = system.path("/srv/originals")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    system.apt("download", *names, cwd="/srv/originals")
    return sorted(place.glob("*.deb"))


def offer(system, packages):
    """Let apt know of `packages` in a repository on the system's own disk."""
    deb.publish(packages, system.path(debian.REPOSITORY))
    system.path(LOCAL_SOURCE).write_text(f"deb [trusted=yes] file:{debian.REPOSITORY} ./\n")
    only_this = [
        f"-oDir::Etc::SourceList={LOCAL_SOURCE}",
        "-oDir::Etc::SourceParts=-",
        "-oAPT::Get::List-Cleanup=0",
    ]
    system.apt("update", *only_this)


def test_trace_shows_what_root_opens(system):
    """Guards the other tests: a program that reads metadata as root would be detected."""
    distribution = directory_of(system, "babel")
    script = f"import os; os.open('{SITE}', os.O_RDONLY); open('{SITE}/{distribution}/PKG-INFO')"
    system.run(*trace.command("/trace/guard"), "/usr/bin/python3", "-I", "-c", script)
    [run] = trace.runs(system.path("/trace/guard"), "/usr/bin/python3")
    assert {call.paths()[-1] for call in run.privileged_accesses([SITE])} >= {
        SITE,
        f"{SITE}/{distribution}/PKG-INFO",
    }
    assert read([run]) == {distribution}
    shutil.rmtree(system.path("/trace"))


@pytest.mark.covers("apt", "install")
def test_first_installation_indexes_installed_packages(system):
    before = directories(by_importlib(system)["distributions"])
    assert before and not system.path(debian.CACHE).exists()
    _, runs = traced(system, "install", *(f"/srv/{file.name}" for file in system.path("/srv").glob("*.deb")))
    distributions = assert_index_right(system)
    assert read(runs) == directories(distributions)
    assert directories(distributions) == before | {directory_of(system, "epcache")}
    found = system.path(debian.CACHE).lstat()
    assert (found.st_mode & 0o7777, (found.st_uid, found.st_gid)) == (0o755, debian.account(system))


def test_manual_names_every_option(system):
    manual = (chroot.CHECKOUT / "packaging/man/epcache.8").read_text()
    commands = [[], ["refresh"], ["list"], ["status"], ["verify"], ["trigger", "rpm"], ["trigger", "dpkg"]]
    options = {
        option
        for command in commands
        for option in re.findall(
            r"^ +(?:-\w, )?--([a-z-]+)", system.run(PROGRAM, *command, "--help").stdout, re.MULTILINE
        )
    }
    assert {"venv", "dry-run", "group", "json", "version"} <= options
    assert {option for option in options if not re.search(rf"Fl -{option}\b", manual)} == set()


def test_the_test_of_the_package_succeeds(system):
    """The one that Debian runs whenever a package changes that epcache depends on."""
    script = (chroot.CHECKOUT / "debian/tests/packages-are-indexed").read_text()
    assert ": fresh: " in system.run("sh", "-", input=script).stdout
    assert_index_right(system)


@pytest.mark.covers("apt", "install")
def test_packages_installed_later_are_indexed_by_the_trigger(system):
    before = directories(by_importlib(system)["distributions"])
    _, runs = traced(system, "install", *PACKAGES, timeout=1800)
    distributions = assert_index_right(system)
    assert sum(bool(distribution["entry_points"]) for distribution in distributions) >= 40
    assert any(name.endswith(".egg-info") for name in directories(distributions))
    assert written(runs)
    assert read(runs) == directories(distributions) - before


@pytest.mark.covers("apt", "upgrade")
def test_upgrade_reads_the_new_version_alone(system, tmp_path):
    old = directory_of(system, "pytest-cov")
    offer(
        system,
        [
            deb.repacked(file, tmp_path, deb.raise_upstream_version)
            for file in originals(system, "python3-pytest-cov")
        ],
    )
    _, runs = traced(system, "upgrade")
    new = directory_of(system, "pytest-cov")
    assert new != old and "99.1" in new
    distributions = assert_index_right(system)
    assert old not in directories(distributions)
    assert read(runs) == {new} and written(runs)


@pytest.mark.covers("apt", "same version")
def test_release_only_upgrade_is_seen(system, tmp_path):
    """Only the stamps of the distributions themselves show it: the site directory's stamp,
    the names, the sizes and the mtimes of the files stay the same."""
    changed = {directory_of(system, name) for name in ("pytest-xdist", "stevedore")}
    files = [system.path(f"{SITE}/{name}/entry_points.txt") for name in changed]
    stamps = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    texts = [file.read_bytes() for file in files]
    site = os.stat(system.path(SITE))
    packages = originals(system, "python3-pytest-xdist", "python3-stevedore")
    offer(system, [deb.repacked(file, tmp_path, deb.change_entry_points_alone) for file in packages])
    _, runs = traced(system, "upgrade")
    assert stamps == [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    assert all(file.read_bytes() != text for file, text in zip(files, texts))
    after = os.stat(system.path(SITE))
    assert (after.st_mtime_ns, after.st_ctime_ns) == (site.st_mtime_ns, site.st_ctime_ns)
    assert_index_right(system)
    assert read(runs) == changed and written(runs)


@pytest.mark.covers("apt", "same version")
def test_reinstalled_package_is_read_again(system):
    changed = directory_of(system, "babel")
    _, runs = traced(system, "install", "--reinstall", "python3-babel")
    assert_index_right(system)
    assert read(runs) == {changed}


@pytest.mark.covers("apt", "removal")
def test_removal_reads_nothing(system):
    gone = {directory_of(system, "celery"), directory_of(system, "pytest-mock")}
    _, runs = traced(system, "remove", "python3-celery", "python3-pytest-mock")
    assert not gone & directories(assert_index_right(system))
    assert read(runs) == set() and written(runs)


def test_a_leftover_directory_is_read_as_importlib_metadata_does(system):
    """dpkg keeps a directory that contains a file of another origin."""
    name = directory_of(system, "pytest-timeout")
    system.path(f"{SITE}/{name}/note").write_text("somebody else's\n")
    _, runs = traced(system, "remove", "python3-pytest-timeout")
    [left] = [one for one in assert_index_right(system) if one["directory"] == name]
    assert left == {"directory": name, "name": None, "version": None, "entry_points": []}
    assert read(runs) == {name}


def plug(system, number):
    """A package in /srv whose revisions differ only in one character of its entry point."""
    files = deb.dist_info(SITE, "plug", "1.0", f"[plugs]\nplug = plug:v{number}\n")
    return f"/srv/{deb.payload(system.path('/srv'), 'python3-plug', f'1.0-{number}', files).name}"


def values(system, name):
    [found] = [one for one in assert_index_right(system) if one["name"] == name]
    return [value for _, _, value in found["entry_points"]]


def test_deferred_trigger_runs_with_the_next_configuration(system):
    system.run("dpkg", "-i", plug(system, 1))
    system.run("dpkg", "--no-triggers", "-i", plug(system, 2))
    # Until then the change is unknown. This also shows that the tests would notice.
    with pytest.raises(AssertionError):
        debian.assert_file_right(system)
    system.run("dpkg", "--configure", "--pending")
    assert values(system, "plug") == ["plug:v2"]


def test_changes_while_epcache_was_unpacked_are_seen_at_its_configuration(system, tmp_path):
    [ours] = system.path("/srv").glob("epcache_*.deb")
    newer = shutil.copy(deb.repacked(ours, tmp_path, lambda tree: None), system.path("/srv"))
    system.run("dpkg", "--unpack", f"/srv/{os.path.basename(newer)}")
    system.run("dpkg", "-i", plug(system, 3))
    system.run("dpkg", "--configure", "--pending")
    assert values(system, "plug") == ["plug:v3"]


def test_upgrade_of_epcache_with_a_payload_leaves_the_index_right(system, tmp_path):
    ours = max(system.path("/srv").glob("epcache_*.deb"), key=lambda file: len(file.name))
    newer = shutil.copy(deb.repacked(ours, tmp_path, lambda tree: None), system.path("/srv"))
    _, runs = traced(system, "install", f"/srv/{os.path.basename(newer)}", plug(system, 4))
    assert values(system, "plug") == ["plug:v4"]
    assert read(runs) == {"plug-1.0.dist-info"}


def test_removed_epcache_leaves_no_index_that_could_go_out_of_date(system):
    victim = system.path("/srv/victim")
    victim.mkdir()
    (victim / "file").write_text("not epcache's\n")
    system.path(f"{debian.CACHE}/link").symlink_to("/srv/victim")
    system.apt("remove", "epcache")
    assert not os.path.lexists(system.path(debian.CACHE))
    assert (victim / "file").read_text() == "not epcache's\n"
    system.run("dpkg", "-i", plug(system, 5))
    found = debian.answers(system)
    assert found["warnings"] == [] and not found["from_index"]
    assert ["plugs", "plug", "plug:v5"] in found["found"]
    debian.assert_reader_is_right(found)


def test_installed_again_it_starts_afresh(system):
    system.apt("install", f"/srv/{next(system.path('/srv').glob('epcache_0*.deb')).name}")
    assert values(system, "plug") == ["plug:v5"]


def test_purge_leaves_the_user_and_nothing_else(system):
    before = debian.account(system)
    system.apt("purge", "epcache", "python3-epcache")
    status = system.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "epcache", check=False)
    assert status.stdout in ("", "not-installed")
    left = system.run(
        "find",
        "/etc",
        "/usr",
        "/var",
        "-xdev",
        "-name",
        "*epcache*",
        "-not",
        "-path",
        f"{debian.REPOSITORY}/*",
    )
    assert left.stdout.split() == []
    assert debian.account(system) == before
    assert not system.path(PROGRAM).exists() and not system.path(INDEX).exists()
