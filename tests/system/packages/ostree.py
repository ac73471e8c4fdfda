"""What rpm-ostree does with the scripts of packages, reproduced from its source with the real bubblewrap.

A compose unpacks packages by itself and runs some of their scripts in a sandbox: `/usr` and `/etc` are those of
the new tree, `/var` is read-only, most capabilities are gone. Of file triggers it knows `%transfiletriggerin`
alone, and hands over all files below a prefix, whatever has changed.
"""

import os
import subprocess

CAPABILITIES = [
    *(
        "chown",
        "dac_override",
        "fowner",
        "fsetid",
        "kill",
        "setgid",
        "setuid",
        "setpcap",
        "sys_chroot",
        "setfcap",
    )
]
ENVIRONMENT = {"LANG": "C", "PATH": "/usr/sbin:/usr/bin", "SYSTEMD_OFFLINE": "1"}
LINKS = ["lib", "lib32", "lib64", "bin", "sbin"]
# The bit of a trigger's flags that tells %transfiletriggerin.
TRIGGER_IN = 1 << 16


def scripts(machine, package):
    """The scripts that a compose runs: for each its interpreter, its text, and the prefixes of a trigger."""
    found = []
    for kind in ("PREIN", "POSTIN", "POSTTRANS"):
        text = query(machine, package, f"%{{{kind}}}")
        if text != "(none)":
            found.append((query(machine, package, f"%{{{kind}PROG}}"), text, None))
    triggers = query(machine, package, "[%{TRANSFILETRIGGERSCRIPTPROG}\t%{TRANSFILETRIGGERSCRIPTS}\f]")
    names = query(
        machine,
        package,
        "[%{TRANSFILETRIGGERINDEX}\t%{TRANSFILETRIGGERNAME}\t%{TRANSFILETRIGGERFLAGS}\n]",
    )
    conditions = [line.split("\t") for line in names.splitlines()]
    for number, trigger in enumerate(triggers.split("\f")[:-1]):
        interpreter, _, text = trigger.partition("\t")
        prefixes = [
            name for index, name, flags in conditions if int(index) == number and int(flags) & TRIGGER_IN
        ]
        if prefixes:
            found.append((interpreter, text, prefixes))
    return found


def query(machine, package, form):
    return machine.system.run("rpm", "-q", "--qf", form, package).stdout


def files(machine, prefixes):
    """Every file of the tree below the prefixes, as a trigger gets them."""
    root = machine.system.root
    for prefix in prefixes:
        for start in root.glob(prefix.lstrip("/") + "*"):
            for directory, _, names in os.walk(start):
                yield from (f"/{os.path.relpath(os.path.join(directory, name), root)}" for name in names)


def run(machine, interpreter, script, listed=None):
    """Run a script in the sandbox; `listed` are the lines on its standard input."""
    root = machine.system.root
    text = os.memfd_create("script")
    os.write(text, script.encode())
    empty = os.open(os.devnull, os.O_RDONLY)
    command = ["bwrap", "--dev", "/dev", "--proc", "/proc", "--dir", "/run", "--dir", "/tmp", "--chdir", "/"]
    command += [
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-ipc",
        "--unshare-cgroup-try",
    ]
    for directory in ("block", "bus", "class", "dev", "devices"):
        command += ["--ro-bind", f"/sys/{directory}", f"/sys/{directory}"]
    command += ["--unshare-net", "--cap-drop", "ALL"]
    for name in CAPABILITIES:
        command += ["--cap-add", f"cap_{name}"]
    for name in LINKS:
        if (root / name).is_symlink():
            command += ["--symlink", f"usr/{name}", f"/{name}"]
    command += ["--bind", "usr", "/usr", "--bind", "etc", "/etc"]
    command += ["--ro-bind", "./var", "/var", "--tmpfs", "/var/tmp"]
    # No script sees the database.
    command += ["--ro-bind", "usr/share/empty", "usr/share/rpm"]
    command += ["--tmpfs", "/run", "--ro-bind-data", str(empty), "/run/ostree-booted"]
    try:
        return subprocess.run(
            [*command, interpreter, f"/proc/self/fd/{text}"],
            cwd=root,
            env=ENVIRONMENT,
            input="".join(f"{line}\n" for line in listed or ()),
            pass_fds=(text, empty),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        os.close(text)
        os.close(empty)
