"""What a package manager does to a system-wide directory, and that nobody else does so meanwhile."""

import os
import threading

PATIENCE = 60


def unpack(site, package, version):
    """Install or rebuild it as rpm does: each file beside the old one, then in its place. The directory
    has the same name for all versions, so that a rebuild leaves the site directory as it is."""
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
    """What a package manager has for itself while it changes files. Whoever comes later waits."""

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
