"""A system in an image, with packages of dpkg, whose sealed index lies in the system's cache.

dpkg replaces the files of a rebuilt package without changing the site directory. If epcache's trigger is in
the image, it updates the index. If not, a change of the package database shows it.
"""

import os
import subprocess
import time

import pytest

from .inside import accessed_paths, is_proven, right
from .mounts import overlaid
from .trees import EPCACHE, System


def rebuild(system):
    """Install a package of the same version with other entry points."""
    before = os.stat(system.site).st_mtime_ns
    system.dpkg("alpha-1", value="started")
    assert os.stat(system.site).st_mtime_ns == before


def rebuild_alike(system):
    """The same, with all sizes and times as before: a change that buildah's own comparison misses."""
    before = os.stat(system.site).st_mtime_ns
    system.dpkg("alpha-1", value="ran")
    assert os.stat(system.site).st_mtime_ns == before


def upgrade(system):
    system.dpkg("alpha-2")


def add(system):
    system.dpkg("delta-1")


def remove(system):
    system.remove("beta")


CHANGES = [rebuild, upgrade, add, remove]


@pytest.mark.covers("oci system", "install")
def test_a_system_index_is_proven_in_the_unpacked_image(store, system_sealed, tmp_path):
    with store.unpacked(system_sealed) as root:
        system = System(root)
        assert is_proven(system, tmp_path)
        assert sorted(right(system)["group"]) == [["alpha", "alpha:run"], ["beta", "beta:run"]]
        status = system.status()
        assert (status["state"], status["sealed"]) == ("fresh", True)


@pytest.mark.covers("oci system", "upgrade", "same version", "removal")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_in_a_later_layer_is_seen_without_a_trigger(store, system_sealed, tmp_path, change):
    with store.unpacked(system_sealed) as root:
        before = right(System(root))
    with store.change(system_sealed, "later-system") as root:
        change(System(root))
    with store.unpacked("later-system") as root:
        system = System(root)
        assert not is_proven(system, tmp_path)
        assert right(system) != before
        assert system.status()["state"] == "stale"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_trigger_writes_a_new_index_in_a_later_layer(store, system_sealed, tmp_path, change):
    with store.change(system_sealed, "triggered") as root:
        system = System(root)
        system.install_trigger()
        change(system)
        status = system.status()
        assert (status["state"], status["sealed"]) == ("fresh", False)
        right(system)
    with store.unpacked("triggered") as root:
        assert not is_proven(System(root), tmp_path)
        right(System(root))


def test_a_refresh_in_the_installing_step_seals_again(store, system_sealed, tmp_path):
    with store.change(system_sealed, "sealed-again") as root:
        # After unpacking, it is unknown who set these times.
        assert System(root).refresh("--seal")["sealed"] is False
        System(root).dpkg("gamma-1")
        assert System(root).refresh()["sealed"]
    with store.unpacked("sealed-again") as root:
        assert is_proven(System(root), tmp_path)
        right(System(root))


@pytest.mark.parametrize("change", [rebuild_alike, *CHANGES], ids=lambda change: change.__name__)
def test_a_change_in_a_layer_over_the_original_tree_is_seen(place, change):
    """As Docker stores layers: inodes and ctimes stay, and so does the site directory's stamp."""
    lower = place / "lower"
    lower.mkdir()
    system = System.make(lower)
    system.dpkg("alpha-1", "beta-1")
    assert system.refresh()["sealed"]
    with overlaid([lower], place) as root:
        system = System(root)
        before = right(system)
        assert is_proven(system, place, listed=False)
        change(system)
        assert right(system) != before
        assert system.status()["state"] == "stale"


@pytest.mark.parametrize("change", [rebuild_alike, add], ids=lambda change: change.__name__)
def test_a_change_in_the_original_tree_is_seen_without_a_trigger(place, change):
    root = place / "tree"
    root.mkdir()
    system = System.make(root)
    system.dpkg("alpha-1", "beta-1")
    assert system.refresh()["sealed"]
    before = right(system)
    assert is_proven(system, place, listed=False)
    change(system)
    assert right(system) != before
    assert system.status()["state"] == "stale"


def test_another_size_of_the_package_database_is_seen_at_any_mtime(store, system_sealed, tmp_path):
    with store.unpacked(system_sealed) as root:
        system = System(root)
        before = os.stat(system.database).st_mtime_ns
        with system.database.open("a") as file:
            file.write("\n")
        os.utime(system.database, ns=(before, before))
        assert not is_proven(system, tmp_path)
        assert system.status()["state"] == "stale"
        right(system)


def test_an_image_whose_package_database_was_removed_is_read_from_the_disk(store, system_sealed, tmp_path):
    with store.change(system_sealed, "slim") as root:
        System(root).database.unlink()
    with store.unpacked("slim") as root:
        assert not is_proven(System(root), tmp_path)
        right(System(root))


def test_an_index_that_a_trigger_can_not_replace_is_not_used(place):
    root = place / "tree"
    root.mkdir()
    system = System.make(root)
    system.dpkg("alpha-1")
    assert system.refresh()["sealed"]
    before = right(system)
    # The trigger can neither write where the index is, nor remove it.
    os.chown(system.index.parent, 0, 0)
    system.index.chmod(0o444)
    then = os.stat(system.site).st_mtime_ns
    variables = {"DPKG_ROOT": str(root), "PATH": os.environ["PATH"]}
    (system.site / "alpha-1.dist-info/entry_points.txt").write_text("[probe]\nalpha = alpha:ran\n")
    assert subprocess.run([EPCACHE, "trigger", "dpkg", system.PLACE], env=variables).returncode == 0
    assert os.stat(system.site).st_mtime_ns > then
    assert right(system) != before


def test_a_system_index_without_a_package_database_is_not_sealed(place):
    root = place / "tree"
    root.mkdir()
    system = System.make(root)
    system.dpkg("alpha-1")
    time.sleep(3.1)
    system.database.unlink()
    done = subprocess.run(
        [EPCACHE, "refresh", "--system", "--root", root, "--seal"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "not sealed: there is no package database" in done.stderr
    assert system.status()["sealed"] is False
    right(system)


@pytest.fixture
def composed(place):
    """A system as it is first booted: its image has an index in `/usr` and one time, and there is none in `/var`."""
    root = place / "tree"
    root.mkdir()
    system = System.make(root)
    system.dpkg("alpha-1", "beta-1")
    assert system.refresh("--seal", "--usr")["index"] == str(system.index_in_usr)
    system.set_times(0)
    return system


def used(system):
    """The state of the index that readers use, and the directory in which it is."""
    status = system.status()
    return status["state"], status["index"].removeprefix(str(system.root)).removesuffix(
        f"{system.PLACE}/index"
    )


def test_an_index_in_usr_is_used_where_all_times_are_0(composed, place):
    assert used(composed) == ("fresh", "/usr/lib/epcache/index")
    assert sorted(right(composed)["group"]) == [["alpha", "alpha:run"], ["beta", "beta:run"]]
    accessed_paths(composed, ["names", "versions"], place / "log")
    assert f'"/usr/lib/epcache/index{composed.PLACE}/index", O_RDONLY' in (place / "log").read_text()


@pytest.mark.parametrize("change", [rebuild_alike, *CHANGES], ids=lambda change: change.__name__)
@pytest.mark.parametrize("times", [0, None], ids=["times of 0", "times of dpkg"])
def test_a_change_below_an_index_in_usr_is_seen_without_a_trigger(composed, change, times):
    before = right(composed)
    change(composed)
    if times is not None:
        composed.set_times(times)
    assert right(composed) != before
    assert used(composed) == ("stale", "/usr/lib/epcache/index")


def test_a_trigger_leaves_an_index_in_usr_as_it_is_and_its_own_is_used(composed):
    before = composed.index_in_usr.read_bytes()
    composed.install_trigger()
    for change in [rebuild, upgrade, add, remove]:
        change(composed)
        right(composed)
        assert used(composed) == ("fresh", "/var/cache/epcache")
    assert composed.index_in_usr.read_bytes() == before
    # Whatever makes the trigger's unusable: readers come back to the one that is old.
    composed.index.unlink()
    right(composed)
    assert used(composed) == ("stale", "/usr/lib/epcache/index")


def test_two_composes_by_dpkg_give_the_same_index(composed, place):
    root = place / "other"
    root.mkdir()
    other = System.make(root)
    other.dpkg("beta-1")
    time.sleep(1.1)
    other.dpkg("alpha-1")
    other.refresh("--seal", "--usr")
    assert other.index_in_usr.read_bytes() == composed.index_in_usr.read_bytes()


@pytest.mark.covers("equal times", "install", "same version")
def test_an_index_in_usr_is_proven_in_an_image_with_one_time(store, tmp_path):
    with store.change(None, "usr", "--timestamp", "0") as root:
        system = System.make(root)
        system.dpkg("alpha-1", "beta-1")
        system.refresh("--seal", "--usr")
    with store.unpacked("usr") as root:
        system = System(root)
        assert used(system) == ("fresh", "/usr/lib/epcache/index")
        before = right(system)
        rebuild_alike(system)
        assert right(system) != before
