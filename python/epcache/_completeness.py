"""Whether the installer of a distribution has finished.

Installers make ``X.dist-info`` first and fill it later. The last files that pip, uv and everything
based on pypa/installer write are INSTALLER and RECORD.
"""

from ._limits import SETTLE_AFTER


def is_finished(installer, record):
    """Whether nothing is missing that an installer may still write.

    The arguments are the stamps (mtime, ctime, inode, size) of INSTALLER and RECORD, None where there
    is no such file.
    """
    return bool(installer and record and record[3] > 0 and was_written_here(installer))


def was_written_here(stamp):
    """Whether a file was written in its place.

    One that came with a package or with a copy has an mtime older than its ctime. An INSTALLER like
    that was there from the beginning, so it proves nothing.
    """
    return abs(stamp[1] - stamp[0]) < SETTLE_AFTER
