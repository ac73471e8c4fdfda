"""Two builds in different places give the same bytes.

Needs: maturin.
Takes: some minutes (`make test-reproducible`).
New tests: one parameter for each artifact.
"""
