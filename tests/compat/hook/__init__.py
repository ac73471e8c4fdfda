"""pip with the hook beside the same pip without it, and uv.

Needs: CPython 3.9 and 3.13; a package index.
Takes: some minutes: `make test-hook` takes the oldest and the newest pip; `make test-hook-full` takes the newest
pip of the oldest Python as well. Tests run in parallel, so none may rely on another.
New tests: `test_undisturbed.py` for the behaviour of pip, `test_steps.py` for the index.
"""
