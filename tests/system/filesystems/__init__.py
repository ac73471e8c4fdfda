"""File systems with a coarse clock or with old stamps.

Needs: root, to mount ext3 and ext4; debugfs.
Takes: half a minute (part of `make test-packages`).
New tests: one module for each property of a file system.
"""
