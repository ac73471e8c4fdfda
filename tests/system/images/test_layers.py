"""Later layers that change the environment of an image with a sealed index."""

import shutil

import pytest

from .inside import is_proven, right
from .mounts import overlaid
from .trees import Environment


def upgrade(environment):
    environment.install("alpha-2")


def reinstall_another_build(environment):
    environment.install("alpha-1", leave_out=["entry_points.txt"])


def add(environment):
    environment.install("delta-1")


def remove(environment):
    environment.remove("beta")


def remove_by_hand(environment):
    shutil.rmtree(environment.site / "beta-1.dist-info")


CHANGES = [upgrade, reinstall_another_build, add, remove, remove_by_hand]


@pytest.mark.covers("oci", "upgrade", "same version", "removal")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_in_a_later_layer_is_seen(store, sealed, tmp_path, change):
    with store.unpacked(sealed) as root:
        before = right(Environment(root))
    with store.change(sealed, "later") as root:
        change(Environment(root))
    with store.unpacked("later") as root:
        environment = Environment(root)
        assert not is_proven(environment, tmp_path)
        assert right(environment) != before
        status = environment.status()
        assert (status["state"], status["sealed"]) == ("stale", True)
    with store.layers("later") as layers:
        assert len(layers) == 2
        with overlaid(layers, tmp_path) as root:
            assert not is_proven(Environment(root), tmp_path)
            assert right(Environment(root)) != before


def test_a_later_layer_that_changes_something_else_leaves_it_proven(store, sealed, tmp_path):
    with store.change(sealed, "elsewhere") as root:
        (root / "opt/venv/note").write_text("not a package")
        (root / "etc").mkdir()
    with store.unpacked("elsewhere") as root:
        assert is_proven(Environment(root), tmp_path)
        right(Environment(root))


def test_an_index_sealed_again_in_a_later_layer_is_proven(store, sealed, tmp_path):
    with store.change(sealed, "again") as root:
        environment = Environment(root)
        environment.install("alpha-2", "delta-1")
        report = environment.refresh("--seal")
        assert report["sealed"] and report["seconds"] > 2
    with store.unpacked("again") as root:
        assert is_proven(Environment(root), tmp_path)
        assert right(Environment(root))["versions"] == {"alpha": "2", "beta": "1", "gamma": "1", "delta": "1"}


def test_a_refresh_in_a_running_container_makes_an_ordinary_index(store, sealed, tmp_path):
    with store.layers(sealed) as layers, overlaid(layers, tmp_path) as root:
        environment = Environment(root)
        environment.install("delta-1")
        assert not environment.refresh()["sealed"]
        assert not environment.status()["sealed"]
        assert right(environment)["versions"]["delta"] == "1"
