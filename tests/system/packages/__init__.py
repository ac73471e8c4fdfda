"""Our packages for Debian, RPM and pacman, installed by real apt, dpkg, rpm, dnf, zypper and pacman in chroots.

Needs: root, mmdebstrap, bubblewrap, erofs-utils; a Debian mirror for the first run.
Takes: about fifteen minutes (`make test-packages`).
New tests: `test_apt*.py`, `test_rpm*.py` or `test_pacman*.py`; what uses rpm's library
in `test_repositories.py`; images in `test_ostree.py`; newer Pythons in `test_newer_pythons.py`.
"""
