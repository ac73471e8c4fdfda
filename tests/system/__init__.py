"""Whole systems: packages, images, faults, file systems, reproducible builds.

Needs: root, except for `reproducible`.
Takes: see each suite.
New tests: in the suite whose part of the system is tested.
"""
