"""``python -m epcache`` runs the program ``epcache``."""

import os
import signal
import sys

from . import _binary


def main():
    """Replace this process by the program; the exit status if that fails."""
    program = _binary.find()
    try:
        if program is None:
            raise FileNotFoundError("no such program beside the package or on PATH")
        # The interpreter ignores these signals, and the program would inherit that.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        # By its path, it finds the environment that it is installed in.
        os.execv(program, [program, *sys.argv[1:]])
    except OSError as error:
        message = error.strerror or error
        print(f"{program or _binary.NAME}: {message}", file=sys.stderr)
        print("hint: python -m pip install --force-reinstall epcache", file=sys.stderr)
        print("hint: where no wheel has the program, add --no-binary epcache", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main())
