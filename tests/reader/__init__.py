"""The Python reader and the watcher, on every supported interpreter.

Needs: CPython 3.9 to 3.13; a package index for the first run, which makes a real environment.
Takes: a few minutes (`make test`). Files are tested in parallel, so none may rely on another.
New tests: one module for each subject; use the fixture `python` for a test on every interpreter.
"""
