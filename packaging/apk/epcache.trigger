#!/bin/sh
# Arguments: the changed directories; all of them when this package is installed. Any
# status but 0 would leave this package broken.

# epcache exits with 0 whatever goes wrong with an index, and ensures that no reader
# believes an old one. Any other status means that it could not run to its end. Then the
# indexes are removed as their owner: root must not walk a directory in which another user
# can replace a name by a link.
/usr/bin/epcache trigger apk "$@" || setpriv --reuid=epcache --regid=epcache --clear-groups \
	--no-new-privs find /var/cache/epcache -xdev -mindepth 1 -delete
exit 0
