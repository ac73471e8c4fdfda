"""What others wrote, with acceleration: upstream suites, random histories, programs, pip and uv.

Needs: real interpreters, and for some suites a package index.
Takes: see each suite.
New tests: in the suite of the program that has to behave the same.
"""
