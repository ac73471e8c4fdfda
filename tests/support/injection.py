"""Programs that are slowed, killed or fail at chosen system calls, by strace."""


def _strace(places, calls, effect, *options):
    watched = [word for place in places for word in ("-P", place)]
    quietly = ["strace", "-f", *options, "-qq", "-o", "/dev/null"]
    return [*quietly, *watched, "-e", f"trace={calls}", "-e", f"inject={calls}:{effect}"]


def slowed(places, calls, delay):
    """The beginning of a command line: each of these calls for one of the paths takes so many seconds longer."""
    return _strace(places, calls, f"delay_exit={int(delay * 1e6)}", "--seccomp-bpf")


def killed(places, call, number=1):
    """The program is killed as it makes the call for that time."""
    # Not with `--seccomp-bpf`: a signal is lost where strace stops a program in that way.
    return _strace(places, call, f"signal=KILL:when={number}")


def failed(places, calls, error):
    """Each of the calls fails with this error."""
    return _strace(places, calls, f"error={error}")
