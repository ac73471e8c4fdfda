"""Two builds in different places give the same bytes.

Needs: a package index, for maturin.
Takes: some minutes (`make test-reproducible`).
New tests: one parameter for each artifact.
"""
