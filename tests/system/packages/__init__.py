"""Our Debian and RPM packages, installed by real apt, dpkg, rpm and dnf in chroots.

Needs: root, mmdebstrap; a Debian mirror for the first run.
Takes: about fifteen minutes (`make test-packages`).
New tests: `test_apt*.py` or `test_rpm*.py`; newer Pythons in `test_newer_pythons.py`.
"""
