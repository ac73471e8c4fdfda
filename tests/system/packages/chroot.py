"""Debian chroots in which the package tests run real package managers.

A suite is made once by mmdebstrap, kept as a tar archive below `.cache/` of the
checkout, and unpacked afresh for each use. Every command runs in mount and process
namespaces of its own: /proc, /dev and the other mounts exist for that command
alone, so that nothing is left mounted or running however it ends, and removing the
tree can never reach through a mount into the machine.

    with chroot.unpacked("trixie", include=["python3"]) as system:
        system.apt("install", "python3-pluggy")
        print(system.run("python3", "-c", "import pluggy").stdout)
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.checkout import CHECKOUT
from support.locking import locked

CACHE = CHECKOUT / ".cache"
ARCHIVES = "/var/cache/apt/archives"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

# Mounts /proc and /dev in the tree $root.
DEVICES = r"""
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm" "$root/dev/pts"
chmod 1777 "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
"""

# Runs as the first process of the namespaces: $1 is the tree, then the mounts, one
# "type source target" per argument, up to "--", then the command.
ENTER = rf"""
set -eu
root=$1; shift
{DEVICES}
while [ "$1" != -- ]; do
    kind=$1 from=$2 to=$root$3; shift 3
    mkdir -p "$to" 2>/dev/null || :
    case $kind in
        bind) mount --bind "$from" "$to" ;;
        read-only) mount --bind "$to" "$to"; mount -o remount,bind,ro "$to" ;;
        tmpfs) mount -t tmpfs -o "$from" tmpfs "$to" ;;
    esac
done
shift
cd "$root"
exec chroot "$root" "$@"
"""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


# The architectures, in Debian's words, whose programs a kernel of each machine can start; and qemu's names of the others.
STARTABLE = {"x86_64": ("amd64", "i386"), "aarch64": ("arm64",)}
EMULATED = {"amd64": "x86_64", "arm64": "aarch64"}

# What a command needs in a system whose packages are only unpacked.
TO_RUN = ["base-files", "coreutils", "dash"]

# Has the kernel start programs of another architecture by an emulator, in these namespaces alone. $0 says how.
EMULATE = """
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cat "$0" >/proc/sys/fs/binfmt_misc/register
exec "$@"
"""

# Packages that are built to be installed here: without the optimization that takes most of the time of a build.
QUICK_BUILD = {"CARGO_TARGET_DIR": "/target", "CARGO_PROFILE_RELEASE_LTO": "off"}


class CommandFailed(AssertionError):
    """A command in the chroot ended with another status than 0."""


def is_startable(architecture):
    """Whether this machine's kernel runs programs of that architecture; none is this machine's own."""
    return architecture is None or architecture in STARTABLE.get(os.uname().machine, ())


def emulator(architecture):
    """The beginning of a command that needs programs of another architecture. Needs qemu-user and Linux 6.7."""
    format = f"/usr/lib/binfmt.d/qemu-{EMULATED[architecture]}.conf"
    return ["unshare", "--map-root-user", "--mount", "sh", "-euc", EMULATE, format]


def run_within(enter, argv, env=None, input=None, check=True, timeout=1200):
    """Run `argv` by the command `enter`, with ENVIRONMENT and `env` alone.

    Returns subprocess.CompletedProcess with text in `stdout` and `stderr`.
    """
    variables = [f"{name}={value}" for name, value in {**ENVIRONMENT, **(env or {})}.items()]
    command = [str(part) for part in argv]
    result = subprocess.run(
        [*enter, "env", "-i", *variables, *command],
        input=input,
        stdin=None if input is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout,
    )
    if check and result.returncode:
        raise CommandFailed(
            f"{' '.join(command)}: exit status {result.returncode}\n{result.stdout[-6000:]}\n{result.stderr[-6000:]}"
        )
    return result


class Chroot:
    """An unpacked system; `root` is where it lies on the machine.

    `start` is a command by which each one is started that runs in it.
    """

    def __init__(self, root, suite, start=()):
        self.root = Path(root)
        self.suite = suite
        self.start = start

    def path(self, inside):
        """Where the absolute path `inside` the chroot lies on the machine."""
        return self.root / str(inside).lstrip("/")

    def run(self, *argv, network=False, mounts=(), cwd=None, **options):
        """Run `argv` as root in the chroot, without network unless asked for.

        `mounts` are ("bind", path on the machine, path inside), ("read-only", "",
        path inside) or ("tmpfs", options, path inside), and last for this command.
        The other `options` and the result are those of `run_within`.
        """
        namespaces = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        if not network:
            namespaces.append("--net")
        flat = [str(part) for mount in mounts for part in mount]
        if cwd:
            argv = ["sh", "-c", 'cd "$0" && exec "$@"', cwd, *argv]
        enter = [*self.start, *namespaces, "sh", "-c", ENTER, "enter", str(self.root), *flat, "--"]
        return run_within(enter, argv, **options)

    def apt(self, *arguments, mounts=(), trace=(), **options):
        """apt-get with `arguments`; downloads are kept in `.cache/apt/SUITE`.

        `trace` is a command put in front of apt-get, such as strace.
        """
        archives = CACHE / "apt" / self.suite
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        command = [*trace, "apt-get", "-y", "-q", "-o", "APT::Sandbox::User=root", *arguments]
        with locked(CACHE / "apt" / f"{self.suite}.lock"):
            return self.run(*command, network=True, mounts=[("bind", archives, ARCHIVES), *mounts], **options)


def archive(suite, include=(), architecture=None):
    """The tar archive of a minimal system of `suite` with the packages `include`.

    The packages of a given `architecture` are unpacked, and no more: few machines can run their scripts.
    """
    kind, of = ["--variant=apt"], ""
    if architecture:
        kind, of = ["--variant=extract", f"--architectures={architecture}"], f"-{architecture}"
        include = [*TO_RUN, *include]
    key = hashlib.sha256(repr((4, suite, sorted(include))).encode()).hexdigest()[:12] + of
    path = CACHE / "chroots" / f"{suite}-{key}.tar"
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            partial = path.with_suffix(".partial.tar")
            subprocess.run(
                [
                    "mmdebstrap",
                    "--mode=root",
                    *kind,
                    "--quiet",
                    # The trees are temporary: surviving a power cut is not worth the time.
                    "--dpkgopt=force-unsafe-io",
                    '--aptopt=Acquire::Languages "none"',
                    '--aptopt=APT::Install-Recommends "false"',
                    # A mirror may be a snapshot older than sid's week; signatures are still checked.
                    '--aptopt=Acquire::Check-Valid-Until "false"',
                    f"--include={','.join(['ca-certificates', *include])}",
                    suite,
                    str(partial),
                ],
                check=True,
                stdin=subprocess.DEVNULL,
            )
            os.replace(partial, path)
    return path


@contextlib.contextmanager
def unpacked(suite, include=(), update=True, architecture=None):
    """A fresh system of `suite` with the packages `include`, removed at the end; `archive` has the arguments.

    With `update`, apt's package lists are brought up to date first.
    """
    source = archive(suite, include, architecture)
    place = Path(tempfile.mkdtemp(prefix=f"epcache-{suite}-"))
    try:
        # Names made for another user must be reachable for that user.
        place.chmod(0o755)
        root = place / "root"
        root.mkdir()
        subprocess.run(
            ["tar", "-xpf", str(source), "--numeric-owner", "--xattrs-include=*", "-C", str(root)], check=True
        )
        shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
        if architecture:
            for directory in ("proc", "dev", "tmp"):
                (root / directory).mkdir(exist_ok=True)
            # Made by a script of a package.
            shutil.copyfile(CERTIFICATES, root / CERTIFICATES[1:])
        system = Chroot(root, suite, [] if is_startable(architecture) else emulator(architecture))
        if update:
            system.apt("update")
        yield system
    finally:
        shutil.rmtree(place)


def source_files():
    """The names of the checkout's files, committed or not, but none that git ignores."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    ).stdout.split(b"\0")
    return [name for name in sorted(set(map(os.fsdecode, names))) if name and (CHECKOUT / name).is_file()]


def source_digest():
    """A digest of everything that goes into a package, by which finished builds are kept."""
    digest = hashlib.sha256()
    for name in source_files():
        if not name.startswith(("tests/", "benches/", ".ci/", ".gitignore")):
            source = CHECKOUT / name
            digest.update(f"{name}\0{source.stat().st_mode}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def source_tree(destination):
    """Copy the checkout's files and the vendored crates to `destination`; returns `source_digest()`."""
    for name in source_files():
        target = Path(destination) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target)
    with locked(CACHE / "vendor.lock"):
        subprocess.run(["make", "-s", "vendor"], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["cp", "-a", str(CHECKOUT / "vendor"), str(destination)], check=True)
    return source_digest()
