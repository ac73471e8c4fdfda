"""The wheels of a release, on the oldest systems that they are for.

Needs: root, mmdebstrap, binutils, qemu-user-static; zig and a Debian mirror for the first run.
Takes: a quarter of an hour or more (`make test-wheels`). ``$EPCACHE_RELEASE`` names a directory with finished wheels instead.
New tests: what holds for each wheel goes into `test_wheels.py`, a system into `test_oldest_system.py`, a machine into `test_other_machines.py`.
"""
