"""CPython's and importlib_metadata's own tests, with acceleration (docs/internals/parity.md).

Needs: CPython 3.9 to 3.13; a package index for the first run.
Takes: about two minutes: `make test-upstream` runs a sample, the same each time (`run.in_sample`);
`make test-upstream-full` runs every suite in every mode.
New tests: a new way to run the suites in `modes.py`, a known difference in `expected.py`.
"""
