"""rpm of three Debian releases keeps the indexes right through our file triggers.

bookworm has rpm 4.18, trixie 4.20, sid 6: from 6 on a failing trigger fails the
transaction. After each step the index file itself, `epcache list` and the Python
reader are compared with importlib.metadata of the same system.
"""

import os
import shutil
import time

import pytest
from support import index_reader

from . import rpm_payload
from .rpm_machine import CACHE, EPCACHE, SITE, SITE64
from .rpm_payload import OLD
from .rpm_steps import (
    ALPHA,
    ALPHA_2,
    BETA,
    BETA_REBUILT,
    BIG,
    EGGS,
    FLOOR,
    GAMMA,
    GHOST,
    LEFT,
    NAMED,
    WIDE,
    directory,
    erase,
    install,
    succeeded,
)


@pytest.mark.covers("rpm", "install", "upgrade", "same version", "removal")
def test_index_is_right_after_every_kind_of_transaction(bare):
    before = install(bare, ALPHA, EGGS)
    assert before.runs == []

    first = install(bare, ours="first")
    assert first.replaced(SITE)
    bare.assert_right(SITE)

    added = install(bare, BETA, WIDE)
    assert added.read(SITE) == {directory(BETA)} and added.read(SITE64) == {directory(WIDE)}
    bare.assert_right(SITE, SITE64)

    upgraded = install(bare, ALPHA_2)
    assert upgraded.read(SITE) == {directory(ALPHA_2)} and upgraded.read(SITE64) == set()
    bare.assert_right(SITE, SITE64)

    named = install(bare, NAMED)
    assert named.read(SITE) == {"sp ace näme-1.0.dist-info"}
    bare.assert_right(SITE)

    again = install(bare, ALPHA_2, options=["-U", "--replacepkgs"])
    assert again.read(SITE) == {directory(ALPHA_2)}
    bare.assert_right(SITE)

    erased = erase(bare, "alpha")
    assert erased.read(SITE) == set() and erased.replaced(SITE)
    bare.assert_right(SITE)

    # The trigger of the second prefix: rpm 4.18 would not run one stanza for both.
    erased = erase(bare, "wide")
    assert erased.read(SITE64) == set() and erased.replaced(SITE64)
    bare.assert_right(SITE, SITE64)

    big = install(bare, BIG, GHOST)
    assert big.read(SITE) == {directory(BIG)}
    bare.assert_right(SITE)

    upgraded = install(bare, GAMMA, ours="second")
    assert upgraded.replaced(SITE)
    bare.assert_right(SITE, SITE64)

    erase(bare, "epcache")
    assert not os.path.lexists(bare.system.path(CACHE))
    assert not os.path.lexists(bare.system.path(f"{CACHE}.erased"))
    assert bare.reader(SITE)["searched"]


@pytest.mark.covers("rpm", "same version")
def test_release_only_upgrade_is_seen(ready):
    install(ready, BETA, options=["-U", "--oldpackage", "--replacepkgs"])
    ready.assert_right(SITE)
    site, file = (ready.system.path(path) for path in (SITE, f"{SITE}/{directory(BETA)}/entry_points.txt"))
    old, site_old, text = file.stat(), site.stat(), file.read_text()
    # Without the trigger before the transaction, which gives the site directory another time.
    upgraded = install(ready, BETA_REBUILT, options=["-U", "--notriggerun"])
    new, site_new = file.stat(), site.stat()
    # Otherwise this would be another case.
    assert (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns) and text != file.read_text()
    assert site_old.st_mtime_ns == site_new.st_mtime_ns

    assert upgraded.read(SITE) == {directory(BETA)} and upgraded.replaced(SITE)
    ready.assert_right(SITE)


def test_erased_package_that_leaves_an_empty_directory_behind(ready):
    install(ready, LEFT)
    ready.assert_right(SITE)
    erase(ready, "left")
    left = ready.system.path(f"{SITE}/{directory(LEFT)}")
    assert list(left.iterdir()) == []
    ready.assert_right(SITE)
    # rpm knows nothing of this change; the next transaction handles it as well.
    left.rmdir()
    install(ready, ALPHA, options=["-U", "--replacepkgs"])
    ready.assert_right(SITE)


def test_site_directory_whose_modification_time_is_set_back(ready):
    site = ready.system.path(SITE)
    install(ready, FLOOR)
    assert site.stat().st_mtime == OLD
    ready.assert_right(SITE)
    install(ready, GAMMA)
    install(ready, FLOOR, options=["-U", "--replacepkgs"])
    assert site.stat().st_mtime == OLD
    ready.assert_right(SITE)
    erase(ready, "gamma", "floor")
    ready.assert_right(SITE)


def test_a_refresh_fixes_the_index_after_a_transaction_without_scripts(ready):
    unseen = install(ready, GAMMA, options=["-U", "--noscripts"])
    assert unseen.runs == []
    ready.assert_answers_right(SITE)
    assert ready.system.run(EPCACHE, "status", check=False).returncode == 1
    # A directory that has just changed cannot be distinguished from one that changes again.
    time.sleep(3.1)
    ready.system.run(EPCACHE, "refresh", "--system")
    ready.assert_right(SITE)
    erase(ready, "gamma")


def test_first_index_is_made_where_rpm_knows_of_no_distribution(bare):
    place = bare.system.path(f"{SITE}/alone-1.0.dist-info")
    place.mkdir(parents=True)
    (place / "METADATA").write_text(rpm_payload.metadata("alone", "1.0"))
    done = succeeded(bare.rpm("-U", "/ours/first/epcache.rpm"))
    assert [run.argv[1:] for run in done.runs] == [["trigger", "rpm"]]
    index = index_reader.parse(bare.index(SITE).read_bytes())
    assert [(row.name, row.version) for row in index.distributions.values()] == [("alone", "1.0")]


def test_erasing_our_package_follows_no_link(bare):
    install(bare, ALPHA, ours="first")
    precious = bare.system.path("/srv/precious/file")
    precious.parent.mkdir()
    precious.write_text("")
    uid, gid = bare.account()
    for place in (precious, precious.parent):
        os.chown(place, uid, gid)
    cache = bare.system.path(CACHE)
    for link in (cache / "link", cache / "usr/link"):
        link.symlink_to("/srv/precious")
        os.lchown(link, uid, gid)
    erase(bare, "epcache")
    assert precious.exists() and not os.path.lexists(cache)


def test_erasing_our_package_hides_indexes_that_it_cannot_remove(bare):
    install(bare, ALPHA, ours="first")
    program = bare.system.path("/usr/bin/setpriv")
    kept = program.rename(program.with_name("setpriv.kept"))
    try:
        erase(bare, "epcache")
    finally:
        kept.rename(program)
    assert not os.path.lexists(bare.system.path(CACHE))
    shutil.rmtree(bare.system.path(f"{CACHE}.erased"))
