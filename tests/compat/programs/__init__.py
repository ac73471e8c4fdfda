"""Real programs, without acceleration and with it.

Needs: strace; a package index for the first run.
Takes: a few minutes (`make test-programs`).
New tests: a program in `programs.py` and `requirements.txt`.
"""
