"""The changes of a package manager to a system-wide directory, and its exclusive lock."""

import os
import threading

PATIENCE = 60


def unpack(site, package, version):
    """Install or rebuild a package as rpm does: each file beside the old one, then renamed over it. The
    directory has the same name for all versions, so that a rebuild does not change the site directory."""
    place = site / f"{package}-1.dist-info"
    place.mkdir(exist_ok=True)
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n",
        "entry_points.txt": f"[probe]\n{package} = {package}:run\nof_{version} = {package}:run\n",
    }
    for name, text in files.items():
        (place / f"{name};5f3759df").write_text(text)
        os.utime(place / f"{name};5f3759df", (1_600_000_000, 1_600_000_000))
    for name in files:
        (place / f"{name};5f3759df").rename(place / name)


def erase(site, package):
    place = site / f"{package}-1.dist-info"
    for path in sorted(place.iterdir()):
        path.unlink()
    place.rmdir()


class SharedLock:
    """The lock that a package manager holds while it changes files. Later processes wait."""

    def __init__(self):
        self.changed = threading.Condition()
        self.users = 0

    def alone(self):
        return _Held(self, lambda: self.users == 0, -1)

    def together(self):
        return _Held(self, lambda: self.users >= 0, 1)


class _Held:
    def __init__(self, lock, may, step):
        self.lock, self.may, self.step = lock, may, step

    def __enter__(self):
        with self.lock.changed:
            if not self.lock.changed.wait_for(self.may, PATIENCE):
                raise RuntimeError("a trigger does not end")
            self.lock.users += self.step

    def __exit__(self, *_):
        with self.lock.changed:
            self.lock.users -= self.step
            self.lock.changed.notify_all()
