"""Which releases of importlib.metadata and importlib_metadata are known, and how others are treated."""

import subprocess
import types

import epcache
import pytest
from epcache import _releases
from epcache._releases import ALL, MODULES, PYTHON
from support.environments import add
from support.interpreters import READER


def release_beside(directory, *distributions):
    (directory / "importlib_metadata").mkdir()
    for name in distributions:
        add(directory, name, None, "Metadata-Version: 2.1\nName: importlib_metadata\nVersion: 8.7.1\n")
    module = types.ModuleType("importlib_metadata")
    module.__file__ = str(directory / "importlib_metadata" / "__init__.py")
    return _releases.release_of(module)


@pytest.mark.parametrize(
    "version, top_level, validates, valid_first",
    [
        ("4.8.3", PYTHON, False, False),
        ("6.1.0", PYTHON, False, False),
        ("6.3.0", MODULES, False, False),
        ("6.11.0", ALL, False, False),
        ("8.7.1", ALL, True, False),
        ("9.1.0", ALL, False, False),
        ("10.2.0", ALL, False, True),
    ],
)
def test_a_release_of_importlib_metadata_is_known_by_its_version(
    tmp_path, version, top_level, validates, valid_first
):
    release = release_beside(tmp_path, f"importlib_metadata-{version}.dist-info", "other-1.dist-info")
    assert (release.top_level, release.validates, release.valid_first) == (top_level, validates, valid_first)


@pytest.mark.parametrize("version", ["4.7.1", "6.2.1", "10.3.0", "11.0", "next"])
def test_other_releases_of_importlib_metadata_are_unknown(tmp_path, version):
    assert release_beside(tmp_path, f"importlib_metadata-{version}.dist-info") is None


def test_the_version_may_be_in_the_metadata_alone(tmp_path):
    assert release_beside(tmp_path, "importlib_metadata.egg-info").validates


def test_without_exactly_one_version_beside_it_a_release_is_unknown(tmp_path):
    two = ["importlib_metadata-8.0.dist-info", "importlib_metadata-9.1.dist-info"]
    assert release_beside(tmp_path, *two) is None


def test_without_a_distribution_beside_it_a_release_is_unknown(tmp_path):
    assert release_beside(tmp_path) is None


def test_the_newest_python_is_one_number():
    assert max(_releases._CPYTHON) == epcache.NEWEST_PYTHON


def test_an_unknown_python_is_not_accelerated_and_epcache_functions_work(python, tmp_path):
    add(tmp_path, "foo-1.dist-info", "[g]\na = m:f\n")
    code = f"""if True:
        import sys
        sys.path[:0] = [{str(tmp_path)!r}, {str(READER)!r}]
        import importlib.metadata as M
        before = dict(vars(M)), dict(vars(M.MetadataPathFinder))
        import epcache, epcache._releases
        epcache._releases._CPYTHON.clear()
        epcache.accelerate()
        assert [entry_point.value for entry_point in M.distribution('foo').entry_points] == ['m:f']
        assert (dict(vars(M)), dict(vars(M.MetadataPathFinder))) == before
        (found,) = epcache.entry_points(group='g')
        assert found.value == 'm:f' and found.dist.version == epcache.version('foo') == '1'
        assert epcache.distribution('foo').version == '1'
        assert len(list(epcache.distributions(name='foo'))) == 1
        """
    subprocess.run([python, "-S", "-E", "-W", "ignore", "-c", code], check=True)


def test_the_functions_that_return_distributions_replace_nothing(python, tmp_path):
    add(tmp_path, "foo-1.dist-info", "[g]\na = m:f\n", "Name: foo\nVersion: 1\nRequires-Dist: bar\n")
    (tmp_path / "foo-1.dist-info" / "top_level.txt").write_text("foo\n")
    code = f"""if True:
        import sys
        sys.path[:0] = [{str(tmp_path)!r}, {str(READER)!r}]
        import importlib.metadata as M
        finder = M.MetadataPathFinder
        before = M.distributions, M.entry_points, dict(vars(finder)), list(sys.meta_path)
        import epcache
        assert isinstance(epcache.distribution('foo'), M.PathDistribution)
        assert [one.version for one in epcache.distributions(name='foo')] == ['1']
        assert (epcache.requires('foo'), epcache.files('foo')) == (['bar'], None)
        try:
            assert epcache.packages_distributions() == M.packages_distributions() == {{'foo': ['foo']}}
        except NotImplementedError:
            assert sys.version_info < (3, 10)
        assert (M.distributions, M.entry_points, dict(vars(finder)), list(sys.meta_path)) == before
        """
    subprocess.run([python, "-S", "-E", "-W", "ignore", "-c", code], check=True)
