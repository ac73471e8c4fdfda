"""pip with the hook beside the same pip without it, and uv.

Needs: CPython 3.9 and 3.13; a package index.
Takes: several minutes (`make test-hook`).
New tests: `test_undisturbed.py` for the behaviour of pip, `test_steps.py` for the index.
"""
