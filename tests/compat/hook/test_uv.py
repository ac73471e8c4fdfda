"""uv has no hook: `epcache run` refreshes the index for it."""

import json
import os

import pytest
from support import wheels
from support.environments import uv


@pytest.mark.covers("uv", "install", "upgrade", "same version", "removal", "failed")
def test_changes_by_uv_are_indexed(newest):
    def step(*arguments):
        def command(environment):
            wrapper = [environment.program, "run", environment.site, "--"]
            wrapper = wrapper if environment is newest.hooked else []
            return [*wrapper, uv(), "pip", *arguments, "--python", environment.python]

        return newest.call(command)

    first, second = [wheels.make(newest.wheels, "probe", version) for version in ("1.0", "2.0")]
    (newest.wheels / "rebuilt").mkdir()
    of_rebuilt = {"probe-2.0.dist-info/entry_points.txt": "[probe]\nagain = probe:run\n"}
    rebuilt = wheels.make(newest.wheels / "rebuilt", "probe", "2.0", **of_rebuilt)
    for arguments, expected in (
        (["install", first], ["of_1.0", "probe"]),
        (["install", second], ["of_2.0", "probe"]),
        (["install", "--reinstall", rebuilt], ["again"]),
        (["uninstall", "probe"], []),
    ):
        assert step(*arguments)[0] == 0
        newest.assert_refreshed()
        assert [
            name for group, name, *_ in newest.hooked.installed("epcache") if group == "probe"
        ] == expected
    status, _, complaint = step("install", "--no-index", "no-such-package")
    assert status == 1
    assert "no-such-package" in complaint
    newest.assert_refreshed()


def test_metadata_behind_links_is_not_left_out_in_silence(newest):
    """`UV_LINK_MODE=symlink`: Python follows the links; for root, the program does not."""
    wheel = wheels.make(newest.wheels, "probe", "1.0")
    hooked = newest.hooked
    status, _, complaint = hooked.call(
        *[uv(), "pip", "install", "--link-mode", "symlink", wheel, "--python", hooked.python]
    )
    assert status == 0, complaint
    metadata = hooked.site / "probe-1.0.dist-info/METADATA"
    assert metadata.is_symlink() and hooked.call(hooked.tool, "refresh", "--seal", hooked.site)[0] == 0
    assert hooked.state() == "unsettled"
    assert ["probe", "probe", "probe:run", "1.0"] in hooked.installed("epcache")
    hooked.assert_right(warnings="error")
    status, output, complaint = hooked.call(
        *[hooked.tool, "list", "--json", "--group", "probe", "--site", hooked.site]
    )
    (row,) = json.loads(output)
    if os.geteuid() == 0:
        assert (status, row["distribution"], row["name"]) == (3, "probe", None)
        assert "behind a symbolic link" in row["error"] and "behind a symbolic link" in complaint
    else:
        assert (status, row["name"]) == (0, "probe")
