"""The wheels of a release, on the oldest systems that they are for.

Needs: root, mmdebstrap, binutils; zig and a Debian mirror for the first run.
Takes: some minutes (`make test-wheels`). ``$EPCACHE_RELEASE`` names a directory with finished wheels instead.
New tests: what holds for each wheel goes into `test_wheels.py`, a system into `test_oldest_system.py`.
"""
