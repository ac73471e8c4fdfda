"""Where the index of a site directory may be, and whether to trust a file found there.

The rules are those of docs/index-format.md, "Where it lives" and "Whom a reader trusts".
"""

import posix
import sys

SYSTEM_CACHE = "/var/cache/epcache"
SYSTEM_USER = "epcache"

_system_uid = None


def environment(name):
    """A variable of the environment, or None; without importing `os` if nobody has."""
    os = sys.modules.get("os")
    if os is not None:
        return os.environ.get(name)
    value = posix.environ.get(name.encode())
    return None if value is None else value.decode("utf-8", "surrogateescape")


def sidecar(site):
    """The index inside the site directory."""
    return site + "/.epcache/index"


def caches():
    """The directories that may hold indexes of others, as far as they exist, in their order."""
    return [cache for cache in (SYSTEM_CACHE, _user_cache()) if cache and posix.access(cache, posix.F_OK)]


def mirrored(cache, site):
    """The index of a site directory in a cache; None unless the path is plain.

    A ``..`` would lead out of the cache, so such a path has to be resolved first.
    """
    if not site.startswith("/") or "/../" in site + "/":
        return None
    return cache + site + "/index"


def _user_cache():
    cache = environment("XDG_CACHE_HOME")
    if cache and cache.startswith("/"):
        return cache + "/epcache"
    home = environment("HOME")
    if not home:
        import pwd

        try:
            home = pwd.getpwuid(posix.getuid()).pw_dir
        except KeyError:
            return None
    return home.rstrip("/") + "/.cache/epcache" if home.startswith("/") else None


def distrust(found, path, site_owner):
    """Why the file is not to be trusted, or None. `found` is the result of fstat."""
    if found.st_mode & 0o170000 != 0o100000:
        return "is not a regular file"
    if found.st_mode & 0o022:
        return "may be written by others than its owner (mode %04o)" % (found.st_mode & 0o7777)
    owner = found.st_uid
    if owner in (0, site_owner) or owner == posix.geteuid():
        return None
    if path.startswith(SYSTEM_CACHE + "/") and owner == _uid_of_system_user():
        return None
    return "belongs to user %d, who is not trusted here" % owner


def _uid_of_system_user():
    global _system_uid
    if _system_uid is None:
        import pwd

        try:
            _system_uid = pwd.getpwnam(SYSTEM_USER).pw_uid
        except KeyError:
            return None
    return _system_uid
