"""Every command where uid 0 can't become another user, or only believes to be root, and in an emulator.

Needs: root, fakeroot, proot, setpriv, unshare; qemu-x86_64-static, on x86_64 only.
Takes: a minute.
New tests: an environment is a line of `ENVIRONMENTS` in `test_half_roots.py`.
"""
