"""Random interleavings of installers, the tool and readers on many file systems.

Needs: root, to mount file systems; the release build.
Takes: several minutes (`make test-freshness`).
New tests: a history that failed in `known/`, a fault to be found in `seeded.py`.
"""
