"""The wheels of a release, on systems of each kind that they are for.

Needs: root, mmdebstrap, binutils, qemu-user-static and Linux 6.7; a package index and a Debian mirror for the first run.
Takes: a quarter of an hour or more (`make test-wheels`). ``$EPCACHE_RELEASE`` names a directory with finished wheels instead.
New tests: what holds for each wheel goes into `test_wheels.py`, a system in which pip installs one into `test_systems.py`.
"""
