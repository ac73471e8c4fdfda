"""Shared by several suites: interpreters, environments, a second reader and a second writer of indexes.

A suite imports from here and from itself, never from another suite. `pyproject.toml` makes pytest find
this package; programs of the suites are started by `support.checkout.module`, or by
``PYTHONPATH=tests python -m compat.histories``.
"""
