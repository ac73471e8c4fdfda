"""`make install`, as packagers and administrators call it."""

import os
import stat
import subprocess

from support.checkout import CHECKOUT

PYTHON_DIR = "/usr/lib/python3/dist-packages"


def test_every_user_can_read_what_is_installed_whatever_the_umask(tmp_path):
    program = tmp_path / "target" / "release" / "epcache"
    program.parent.mkdir(parents=True)
    program.write_text("")
    destination = tmp_path / "destination"
    variables = [f"DESTDIR={destination}", "PREFIX=/usr", f"PYTHON_DIR={PYTHON_DIR}"]
    for umask in (0o077, 0o000):
        done = subprocess.run(
            ["sh", "-c", f'umask {umask:03o}; exec "$@"', "sh", "make", "install", *variables],
            cwd=CHECKOUT,
            env={**os.environ, "CARGO_TARGET_DIR": str(program.parent.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        for directory, _, names in os.walk(destination):
            assert stat.S_IMODE(os.lstat(directory).st_mode) == 0o755, directory
            for name in names:
                path = os.path.join(directory, name)
                executable = path.endswith("/bin/epcache")
                wanted = 0o755 if executable else 0o644
                assert os.path.islink(path) or stat.S_IMODE(os.lstat(path).st_mode) == wanted, path
                assert not path.endswith(".pyc"), path
        metadata = next((destination / PYTHON_DIR[1:]).glob("epcache-*.dist-info/METADATA"))
        assert metadata.read_text().startswith("Metadata-Version: 2.1\nName: epcache\n")
        subprocess.run(["rm", "-r", destination], check=True)
