"""uv has no hook: `epcache run` refreshes the index for it."""

from support import wheels
from support.environments import uv


def test_changes_by_uv_are_indexed(newest):
    def step(*arguments):
        def command(environment):
            wrapper = [environment.program, "run", environment.site, "--"]
            wrapper = wrapper if environment is newest.hooked else []
            return [*wrapper, uv(), "pip", *arguments, "--python", environment.python]

        return newest.call(command)

    first, second = [wheels.make(newest.wheels, "probe", version) for version in ("1.0", "2.0")]
    for arguments in (["install", first], ["install", second], ["uninstall", "probe"]):
        assert step(*arguments)[0] == 0
        newest.assert_refreshed()
    status, _, complaint = step("install", "--no-index", "no-such-package")
    assert status == 1
    assert "no-such-package" in complaint
    newest.assert_refreshed()
