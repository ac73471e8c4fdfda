"""Names of distributions and of their files, and how `importlib.metadata` compares them."""

from . import SUFFIXES, SYSTEM_CACHE, normalized, stem

__all__ = [
    "FILE_LISTS",
    "SUFFIXES",
    "SYSTEM_CACHE",
    "has_stem",
    "is_distribution",
    "metadata_file",
    "normalized",
    "stem",
    "stems",
]

# What lists the files of a distribution; the first that is there counts.
FILE_LISTS = ("RECORD", "installed-files.txt", "SOURCES.txt")


def is_distribution(name):
    """Whether a name in a site directory is that of a distribution. Case does not matter."""
    return name.lower().endswith(SUFFIXES)


def stems(file_names):
    """The stems of the names of distributions: all at once, which is faster."""
    if not file_names:
        return ()
    # No name has a slash or a NUL.
    joined = "/".join(file_names).lower() + "/"
    joined = joined.replace(".dist-info/", "\0/").replace(".egg-info/", "\0/")
    joined = "/".join([name.partition("-")[0] for name in joined.split("\0/")[:-1]]).replace(".", "_")
    while "__" in joined:
        joined = joined.replace("__", "_")
    return joined.split("/")


def has_stem(file_name):
    """Whether `entry_points()` takes the name of a distribution from its directory's name.

    Otherwise it reads the metadata. Case matters here, and leading dots alone are no stem, as for
    `os.path.splitext`.
    """
    return file_name.endswith(SUFFIXES) and file_name.rpartition(".")[0].strip(".") != ""


def metadata_file(file_name):
    """The file in a distribution's directory that has its name and version."""
    return "PKG-INFO" if file_name.lower().endswith(".egg-info") else "METADATA"
