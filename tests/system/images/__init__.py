"""Sealed indexes in container images that are built, unpacked, mounted and changed.

Needs: root, buildah, umoci, dpkg, strace.
Takes: a few minutes (`make test-images`).
New tests: `test_sealing.py` for what is sealed, the other modules by the kind of tree.
"""
