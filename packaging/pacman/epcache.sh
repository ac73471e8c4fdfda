#!/bin/sh
# Called by the hooks of pacman and by epcache.install, and never fails a transaction.
# The caller's environment is inherited, so every program has its full path.

CACHE=/var/cache/epcache
HOOK_CACHE=/var/cache/epcache-hooks

# discard DIRECTORY USER: removes everything below it as its owner, because root must not
# walk a directory in which another user can replace a name by a link.
discard() {
    /usr/bin/setpriv --reuid="$2" --regid="$2" --clear-groups --no-new-privs \
        /usr/bin/find "$1" -xdev -mindepth 1 -delete
}

# epcache exits with 0 whatever goes wrong with an index, and ensures that no reader
# believes an old one. Any other status means that it could not run to its end.
trigger() {
    /usr/bin/epcache trigger pacman "$@" && return
    echo "epcache: could not be run, so the indexes are removed" >&2
    discard $CACHE epcache
}

case $1 in
    before) trigger --before ;;
    after) trigger ;;
    remove)
        # If that fails, the directory is renamed, so that readers do not find it; its
        # parent belongs to root.
        if [ -d $CACHE ]; then
            discard $CACHE epcache && /usr/bin/rmdir $CACHE || /usr/bin/mv -T $CACHE $CACHE.erased
        fi
        if [ -d $HOOK_CACHE ]; then
            discard $HOOK_CACHE epcache-hook && /usr/bin/rmdir $HOOK_CACHE
        fi
        ;;
esac
exit 0
