"""Random histories of site directories, answered by epcache and by importlib.metadata.

Needs: CPython 3.9 to 3.13 and the release build.
Takes: five minutes for 5,000 histories (`make test-histories`).
New tests: a history that failed in `known/`, a new edit in `support/simulation`.
"""
