"""Temporary directories."""

import contextlib
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def open_directory(prefix):
    """A directory that every user may enter, such as the user who writes the system's index."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
