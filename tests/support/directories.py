"""Temporary directories."""

import contextlib
import pathlib
import shutil
import tempfile
import uuid


@contextlib.contextmanager
def open_directory(prefix):
    """A directory that every user may enter, such as the user who writes the system's index.

    Its name is one that is also valid in the name of an image, which those of `tempfile` are not: ``_`` is only
    allowed between letters.
    """
    directory = pathlib.Path(tempfile.gettempdir(), prefix + uuid.uuid4().hex)
    directory.mkdir()
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
