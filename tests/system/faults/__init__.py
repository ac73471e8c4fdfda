"""Faults at every system call, power cuts, concurrent processes (docs/internals/testing.md).

Needs: root and strace.
Takes: three minutes for the sample, an hour for all (`make test-faults`, `test-faults-full`).
New tests: a command and its surroundings in `scenes.py`.
"""
