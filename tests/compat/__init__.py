"""Third-party tests and programs with acceleration: upstream suites, random histories, programs, pip, uv.

Needs: real interpreters, and for some suites a package index.
Takes: see each suite.
New tests: in the suite of the program whose behaviour must stay the same.
"""
