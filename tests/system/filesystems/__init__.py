"""The watcher on a file system with a coarse clock.

Needs: root, to mount ext3.
Takes: half a minute (part of `make test-packages`).
New tests: one module for each property of a file system.
"""
