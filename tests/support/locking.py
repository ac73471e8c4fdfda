"""A lock between processes: suites run in parallel, and so do the workers of one suite."""

import contextlib
import fcntl


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock on the file `path`, which is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
