"""``python -m epcache`` is the program ``epcache``."""

import os
import signal
import sys

from . import _binary


def main():
    """Become the program, or say why not."""
    program = _binary.find()
    try:
        if program is None:
            raise FileNotFoundError("no such program beside the package or on PATH")
        # The interpreter ignores these, and what is ignored stays so in the program.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execv(program, [_binary.NAME, *sys.argv[1:]])
    except OSError as error:
        message = error.strerror or error
        print(f"{program or _binary.NAME}: {message}", file=sys.stderr)
        print("hint: python -m pip install --force-reinstall epcache", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main())
