"""Other interpreters and other places of distributions than a virtual environment of CPython, and installers that stop.

Needs: CPython 3.9 and 3.13, strace, a package index for the first run; PyPy and a free-threaded build where there is
one.
Takes: one minute.
New tests: a kind of interpreter or directory is a test in `test_pythons.py`, an installer a module, and what an
installer leaves when it is killed is in `test_interrupted.py`.
"""
