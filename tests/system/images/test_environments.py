"""An environment in an image: where its index is proven, and that all answers are right."""

import os
import shutil

import pytest
from support import index_writer

from .inside import is_proven, right
from .mounts import mounted_memory, overlaid
from .oci import run
from .trees import Environment

SECOND = 10**9


def every_path(root):
    """All paths below a directory, the content of a directory before itself."""
    for directory, subdirectories, files in os.walk(root, topdown=False):
        for name in files + subdirectories:
            yield os.path.join(directory, name)
    yield str(root)


def set_times(root, time_of):
    """Set the mtime of everything, in ns, to `time_of` of its current one."""
    for path in every_path(root):
        now = os.lstat(path).st_mtime_ns
        os.utime(path, ns=(now, time_of(now)), follow_symlinks=False)


@pytest.fixture
def tree(tmp_path):
    """A directory for an environment; removed at once, since there will be many."""
    yield tmp_path / "tree"
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A tree with a sealed index that was never packed: its times have fractions of a second."""
    root = tmp_path_factory.mktemp("original") / "tree"
    environment = Environment.make(root)
    environment.install("alpha-1", "beta-1", "gamma-1")
    assert environment.refresh("--seal")["sealed"]
    assert os.stat(environment.site).st_mtime_ns % SECOND
    return root


@pytest.mark.covers("oci", "install")
def test_a_sealed_index_is_proven_in_the_unpacked_image(store, sealed, tmp_path):
    with store.unpacked(sealed) as root:
        environment = Environment(root)
        assert os.stat(environment.site).st_mtime_ns % SECOND == 0
        assert is_proven(environment, tmp_path)
        answers = right(environment)
        assert ["alpha", "alpha:run"] in answers["group"] and answers["packages"]["gamma"] == ["gamma"]
        status = environment.status()
        assert (status["state"], status["sealed"]) == ("fresh", True)
        assert "no difference" in run(*environment.command("verify"))


def test_an_ordinary_index_is_not_proven_there_but_the_answers_are_right(store, unsealed, tmp_path):
    with store.unpacked(unsealed) as root:
        environment = Environment(root)
        assert not is_proven(environment, tmp_path)
        right(environment)
        status = environment.status()
        assert (status["state"], status["sealed"]) == ("stale", False)


@pytest.mark.covers("oci", "install")
def test_a_sealed_index_is_proven_where_layers_are_mounted(store, sealed, tmp_path):
    with store.layers(sealed) as layers, overlaid(layers, tmp_path) as root:
        assert is_proven(Environment(root), tmp_path)
        right(Environment(root))


@pytest.mark.parametrize(
    "command",
    [
        ["cp", "-a", "{original}", "{tree}"],
        ["sh", "-c", "mkdir {tree} && tar -C {original} -cf - --format=ustar . | tar -C {tree} -xf -"],
        ["sh", "-c", "mkdir {tree} && tar -C {original} -cf - --format=posix . | tar -C {tree} -xf -"],
    ],
    ids=["cp", "tar", "pax"],
)  # fmt: skip
def test_a_sealed_index_is_proven_in_copies_that_keep_times(original, tree, tmp_path, command):
    run(*(part.format(original=original, tree=tree) for part in command))
    assert is_proven(Environment(tree), tmp_path)
    right(Environment(tree))


@pytest.mark.parametrize(
    "time_of",
    [
        lambda now: now // SECOND * SECOND,
        lambda now: (now + SECOND // 2) // SECOND * SECOND,
        lambda now: -(-now // SECOND) * SECOND,
        lambda now: now // 1000 * 1000,
    ],
    ids=["truncated", "rounded", "up", "microseconds"],
)
def test_a_sealed_index_is_proven_where_times_are_rounded(original, tree, tmp_path, time_of):
    run("cp", "-a", original, tree)
    set_times(tree, time_of)
    assert is_proven(Environment(tree), tmp_path)
    right(Environment(tree))


@pytest.mark.covers("equal times")
@pytest.mark.parametrize("constant", [0, 1, 1_600_000_000], ids=["ostree", "nix", "clamped"])
def test_identical_times_prove_nothing(original, tree, tmp_path, constant):
    run("cp", "-a", original, tree)
    set_times(tree, lambda now: constant * SECOND)
    environment = Environment(tree)
    assert not is_proven(environment, tmp_path)
    right(environment)
    assert environment.status()["state"] == "stale"
    # Sealed there, and packed the same way again.
    assert environment.refresh("--seal")["sealed"]
    assert environment.status()["state"] == "fresh"
    set_times(tree, lambda now: constant * SECOND)
    environment.replace_unseen("alpha-1", leave_out=["entry_points.txt"])
    set_times(tree, lambda now: constant * SECOND)
    assert not is_proven(environment, tmp_path)
    assert ["alpha", "alpha:run"] not in right(environment)["group"]


@pytest.mark.covers("equal times", "install")
def test_an_image_with_one_time_for_everything_is_read_from_the_disk(store, sealed, tmp_path):
    with store.change(sealed, "stamped", "--timestamp", "1600000000", "--squash"):
        pass
    with store.unpacked("stamped") as root:
        assert int(os.stat(Environment(root).site).st_mtime) == 1_600_000_000
        assert not is_proven(Environment(root), tmp_path)
        right(Environment(root))


@pytest.mark.covers("equal times", "install", "upgrade", "same version", "removal")
def test_a_reproducible_build_gives_the_same_index_which_every_change_of_a_file_shows(store, monkeypatch):
    stamped = ["--timestamp", "1600000000", "--squash"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    indexes = []
    for name in ("one", "other"):
        with store.change(None, f"reproducible-{name}", *stamped) as root:
            environment = Environment.make(root)
            environment.install(*(["alpha-1", "beta-1"] if name == "one" else ["beta-1", "alpha-1"]))
            assert environment.refresh("--seal")["sealed"]
        with store.unpacked(f"reproducible-{name}") as root:
            environment = Environment(root)
            assert ["alpha", "alpha:run"] in right(environment)["group"]
            assert (environment.status()["state"], environment.status()["sealed"]) == ("fresh", True)
            indexes.append((environment.site / ".epcache/index").read_bytes())
    assert indexes[0] == indexes[1]
    changes = [
        (
            lambda environment: environment.replace_unseen("alpha-1", leave_out=["entry_points.txt"]),
            {"beta": "1"},
        ),
        (lambda environment: environment.install("alpha-2"), {"alpha": "2", "beta": "1"}),
        (lambda environment: environment.remove("beta"), {"alpha": "1"}),
    ]
    # In a layer of its own, without a refresh.
    for change, expected in changes:
        with store.change("reproducible-one", "reproducible-later", *stamped) as root:
            change(Environment(root))
        with store.unpacked("reproducible-later") as root:
            environment = Environment(root)
            answers = right(environment)
            named = {name for name, _ in answers["group"]}
            assert {name: it for name, it in answers["versions"].items() if name in named} == expected
            assert environment.status()["state"] == "stale"


def test_one_time_for_everything_proves_nothing_even_if_it_is_the_right_one(original, tree, tmp_path):
    run("cp", "-a", original, tree)
    environment = Environment(tree)
    then = os.stat(environment.site).st_mtime_ns // SECOND * SECOND
    environment.replace_unseen("alpha-1", leave_out=["entry_points.txt"])
    set_times(tree, lambda now: then)
    assert not is_proven(environment, tmp_path)
    assert ["alpha", "alpha:run"] not in right(environment)["group"]
    assert environment.status()["reason"] == "files have been given other times since it was sealed"


@pytest.mark.parametrize("constant", [0, 1], ids=["ostree", "nix"])
def test_a_seal_of_identical_times_is_not_accepted(original, tree, tmp_path, constant):
    run("cp", "-a", original, tree)
    environment = Environment(tree)
    set_times(tree, lambda now: constant * SECOND)
    rows, order = index_writer.rows_of(str(environment.site))
    seal = index_writer.sealed(str(environment.site), constant)
    data = index_writer.render(index_writer.stamp(str(environment.site)), rows, order, seal=seal)
    index_writer.replace(str(environment.site / ".epcache/index"), data)
    # Another copy of it, since here the stamp is the recorded one.
    copy = Environment(tmp_path / "copy")
    run("cp", "-a", tree, copy.root)
    set_times(copy.root, lambda now: constant * SECOND)
    assert not is_proven(copy, tmp_path)
    assert copy.status()["state"] == "stale"
    right(copy)


def test_the_order_is_that_of_the_copy(original, place):
    with mounted_memory(place / "memory") as memory:
        copy = Environment(memory)
        listing = os.listdir(original / Environment.PLACE.lstrip("/"))
        run("cp", "-a", original / "opt", memory)
        # On this file system the newest entry is listed first.
        before = os.stat(copy.site).st_mtime_ns
        for name in listing:
            run("cp", "-a", copy.site / name, memory / "aside")
            run("rm", "-r", copy.site / name)
            run("mv", memory / "aside", copy.site / name)
        os.utime(copy.site, ns=(before, before))
        assert os.listdir(copy.site) == listing[::-1]
        assert is_proven(copy, place)
        names = [name for name, _ in right(copy)["group"] if name in ("alpha", "beta", "gamma")]
        assert names == [name[:-12] for name in listing[::-1] if name.endswith("-1.dist-info")]


def test_a_copy_with_new_times_is_read_from_the_disk(original, tree, tmp_path):
    run("cp", "-r", original, tree)
    assert not is_proven(Environment(tree), tmp_path)
    right(Environment(tree))


@pytest.mark.parametrize("seconds, proven", [(-2, False), (-1, True), (1, True), (2, False)])
def test_times_may_differ_by_a_second(original, tree, tmp_path, seconds, proven):
    run("cp", "-a", original, tree)
    environment = Environment(tree)
    then = os.stat(environment.site).st_mtime_ns // SECOND + seconds
    os.utime(environment.site, (then, then))
    assert is_proven(environment, tmp_path) is proven
    assert (environment.status()["state"] == "fresh") is proven
    right(environment)


@pytest.mark.parametrize("name", ["delta-1.dist-info", "module.py", "alpha-2.dist-info"])
def test_an_additional_name_in_the_directory_is_seen_at_any_time_stamp(original, tree, tmp_path, name):
    run("cp", "-a", original, tree)
    environment = Environment(tree)
    before = os.stat(environment.site).st_mtime_ns
    (environment.site / name).mkdir()
    os.utime(environment.site, ns=(before, before))
    assert not is_proven(environment, tmp_path)
    assert environment.status()["state"] == "stale"
    right(environment)


def test_a_removed_name_is_seen_at_any_time_stamp(original, tree, tmp_path):
    run("cp", "-a", original, tree)
    environment = Environment(tree)
    before = os.stat(environment.site).st_mtime_ns
    shutil.rmtree(environment.site / "beta")
    os.utime(environment.site, ns=(before, before))
    assert not is_proven(environment, tmp_path)
    assert "beta" not in right(environment)["packages"]


def test_an_environment_copied_from_another_stage_is_proven(store, sealed, tmp_path):
    with store.change(None, "base") as root:
        (root / "etc").mkdir()
    store.build("FROM {sealed} AS build\nFROM {base}\nCOPY --from=build /opt/venv /opt/venv\n", "copied")
    with store.unpacked("copied") as root:
        assert is_proven(Environment(root), tmp_path)
        right(Environment(root))


def test_a_site_directory_copied_onto_another_is_right(store, sealed, tmp_path):
    with store.change(None, "other") as root:
        Environment.make(root).install("delta-1")
    copy = "COPY --from=build {{place}} {{place}}\n".replace("{{place}}", Environment.PLACE)
    store.build("FROM {sealed} AS build\nFROM {other}\n" + copy, "merged")
    with store.unpacked("merged") as root:
        assert not is_proven(Environment(root), tmp_path)
        assert right(Environment(root))["versions"]["delta"] == "1"


def test_a_sealed_index_is_proven_by_the_stamp_alone_where_it_was_made(original, tmp_path):
    environment = Environment(original)
    assert is_proven(environment, tmp_path, listed=False)
    right(environment)
