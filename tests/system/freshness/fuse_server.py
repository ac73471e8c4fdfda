"""The tests' own file system: shows the files of a directory with configurable stamps and behaviour.

Speaks the kernel's protocol on /dev/fuse itself (<linux/fuse.h>). Arguments: the directory that
holds the files, the mount point, a descriptor of a socket. Each line on the socket is a JSON object of
settings; the reply is a line with the current settings:

``granule``: stamps are multiples of this many ns; ``zero``: all stamps are 0; ``shift``: later changes
are stamped by a clock that is this many ns ahead; ``delay``: seconds that each answer takes;
``remembered``: seconds for which the kernel may keep attributes and names; ``stale``: how many of the
next requests get ESTALE, of the thread ``stale_for`` alone; ``locks``: "grant", "refuse" (ENOLCK) or "hang".
"""

import bisect
import ctypes
import errno
import json
import os
import resource
import select
import socket
import stat
import struct
import sys
import time

IN = struct.Struct("<IIQQIIIHH")
OUT = struct.Struct("<IiQ")
ATTRIBUTES = struct.Struct("<QQQqqqIIIIIIIIII")
ENTRY = struct.Struct("<QQQQII")
ATTRIBUTES_FOR = struct.Struct("<QII")
OPENED = struct.Struct("<QIi")
SETATTR = struct.Struct("<IIQQQqqqIIIIIIII")
DIRECT_IO = 1  # of an open file: the kernel caches nothing of it
FLOCK_LOCKS = 1 << 10
LARGEST_WRITE = 1 << 17
SECOND = 10**9
PROC = "/proc/self/fd/"


class Server:
    """The nodes that the kernel knows, each as an O_PATH descriptor."""

    def __init__(self, directory, device):
        self.device = device
        root = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        self.nodes = {1: root}
        self.known = {self.file_of(root): [1, 1]}  # node, how often the kernel has been given it
        self.next_node = 2
        self.listings = {}
        self.set_by_hand = {}
        self.waiting = {}
        self.shifts = [(-(1 << 62), 0)]
        self.granule, self.zero, self.delay, self.remembered = 1, False, 0, 0
        self.stale = self.stale_for = 0
        self.locks = "grant"
        self.counted = {"locks": 0, "stale": 0}

    @staticmethod
    def file_of(descriptor):
        info = os.stat(descriptor)
        return info.st_dev, info.st_ino

    def set(self, settings):
        shift = settings.pop("shift", None)
        if shift is not None:
            self.shifts.append((time.time_ns(), shift))
        for name, value in settings.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        return {"pid": os.getpid(), **self.counted}

    # --- clock ---

    def shown(self, moment):
        """The stamp of a time of the real clock."""
        if self.zero:
            return 0
        place = bisect.bisect_right(self.shifts, moment, key=lambda shift: shift[0]) - 1
        return (moment + self.shifts[place][1]) // self.granule * self.granule

    def attributes(self, info):
        mtime = info.st_mtime_ns
        real, set_to = self.set_by_hand.get(info.st_ino, (None, None))
        mtime = set_to if real == mtime and not self.zero else self.shown(mtime)
        ctime, atime = self.shown(info.st_ctime_ns), self.shown(info.st_atime_ns)
        return ATTRIBUTES.pack(
            info.st_ino, info.st_size, info.st_blocks,
            atime // SECOND, mtime // SECOND, ctime // SECOND, atime % SECOND, mtime % SECOND, ctime % SECOND,
            info.st_mode, info.st_nlink, info.st_uid, info.st_gid, 0, 4096, 0,
        )  # fmt: skip

    # --- nodes ---

    def entry(self, parent, name):
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self.nodes[parent])
        info = os.stat(descriptor)
        file = info.st_dev, info.st_ino
        known = self.known.get(file)
        if known is None:
            known = self.known[file] = [self.next_node, 0]
            self.nodes[self.next_node] = descriptor
            self.next_node += 1
        else:
            os.close(descriptor)
        known[1] += 1
        whole, part = divmod(int(self.remembered * SECOND), SECOND)
        return ENTRY.pack(known[0], 0, whole, whole, part, part) + self.attributes(info)

    def forget(self, node, times):
        descriptor = self.nodes.get(node)
        if descriptor is None or node == 1:
            return
        file = self.file_of(descriptor)
        self.known[file][1] -= times
        if self.known[file][1] <= 0:
            del self.known[file], self.nodes[node]
            self.set_by_hand.pop(file[1], None)
            os.close(descriptor)

    def attributes_of(self, node):
        whole, part = divmod(int(self.remembered * SECOND), SECOND)
        return ATTRIBUTES_FOR.pack(whole, part, 0) + self.attributes(os.stat(self.nodes[node]))

    def made(self, parent, name, uid, gid):
        if uid or gid:
            os.chown(name, uid, gid, dir_fd=self.nodes[parent], follow_symlinks=False)
        return self.entry(parent, name)

    # --- requests ---

    def do_1(self, node, body, *_):  # LOOKUP
        return self.entry(node, body[:-1])

    def do_3(self, node, *_):  # GETATTR
        return self.attributes_of(node)

    def do_4(self, node, body, *_):  # SETATTR
        (valid, _, _, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _) = SETATTR.unpack(
            body[: SETATTR.size]
        )
        path = f"{PROC}{self.nodes[node]}"
        if valid & 1:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & 6:
            os.chown(path, uid if valid & 2 else -1, gid if valid & 4 else -1)
        if valid & 8:
            os.truncate(path, size)
        if valid & 0x30:
            before = os.stat(self.nodes[node])
            now = time.time_ns()
            times = [before.st_atime_ns, before.st_mtime_ns]
            if valid & 16:
                times[0] = now if valid & 128 else atime * SECOND + atime_ns
            if valid & 32:
                times[1] = now if valid & 256 else mtime * SECOND + mtime_ns
            os.utime(path, ns=tuple(times))
            if valid & 32 and not valid & 256:
                self.set_by_hand[before.st_ino] = times[1], times[1] // self.granule * self.granule
        return self.attributes_of(node)

    def do_5(self, node, *_):  # READLINK
        return os.fsencode(os.readlink("", dir_fd=self.nodes[node]))

    def do_6(self, node, body, uid, gid):  # SYMLINK
        name, target, _ = body.split(b"\0")
        os.symlink(target, name, dir_fd=self.nodes[node])
        return self.made(node, name, uid, gid)

    def do_8(self, node, body, uid, gid):  # MKNOD
        mode, _, _, _ = struct.unpack("<IIII", body[:16])
        name = body[16:-1]
        os.mknod(name, mode, dir_fd=self.nodes[node])
        return self.made(node, name, uid, gid)

    def do_9(self, node, body, uid, gid):  # MKDIR
        mode, _ = struct.unpack("<II", body[:8])
        name = body[8:-1]
        os.mkdir(name, mode, dir_fd=self.nodes[node])
        return self.made(node, name, uid, gid)

    def do_10(self, node, body, *_):  # UNLINK
        os.unlink(body[:-1], dir_fd=self.nodes[node])

    def do_11(self, node, body, *_):  # RMDIR
        os.rmdir(body[:-1], dir_fd=self.nodes[node])

    def do_12(self, node, body, *_):  # RENAME
        (to,) = struct.unpack("<Q", body[:8])
        self.rename(node, to, body[8:])

    def do_45(self, node, body, *_):  # RENAME2
        to, flags, _ = struct.unpack("<QII", body[:16])
        if flags:
            raise OSError(errno.EINVAL, "flags")
        self.rename(node, to, body[16:])

    def rename(self, node, to, names):
        old, new, _ = names.split(b"\0")
        os.rename(old, new, src_dir_fd=self.nodes[node], dst_dir_fd=self.nodes[to])

    def do_13(self, node, body, *_):  # LINK
        (old,) = struct.unpack("<Q", body[:8])
        os.link(f"{PROC}{self.nodes[old]}", body[8:-1], dst_dir_fd=self.nodes[node], follow_symlinks=True)
        return self.entry(node, body[8:-1])

    def do_14(self, node, body, *_):  # OPEN
        flags, _ = struct.unpack("<II", body[:8])
        descriptor = os.open(f"{PROC}{self.nodes[node]}", flags & ~(os.O_NOFOLLOW | os.O_CREAT | os.O_EXCL))
        return OPENED.pack(descriptor, DIRECT_IO, 0)

    def do_35(self, node, body, uid, gid):  # CREATE
        flags, mode, _, _ = struct.unpack("<IIII", body[:16])
        name = body[16:-1]
        descriptor = os.open(name, flags | os.O_CREAT, mode, dir_fd=self.nodes[node])
        return self.made(node, name, uid, gid) + OPENED.pack(descriptor, DIRECT_IO, 0)

    def do_15(self, _node, body, *_):  # READ
        handle, offset, size = struct.unpack("<QQI", body[:20])
        return os.pread(handle, size, offset)

    def do_16(self, _node, body, *_):  # WRITE
        handle, offset, size = struct.unpack("<QQI", body[:20])
        return struct.pack("<II", os.pwrite(handle, body[40 : 40 + size], offset), 0)

    def do_18(self, _node, body, *_):  # RELEASE
        os.close(struct.unpack("<Q", body[:8])[0])

    def do_17(self, *_):  # STATFS
        return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0)

    def do_27(self, node, *_):  # OPENDIR
        handle = max(self.listings, default=0) + 1
        self.listings[handle] = None
        return OPENED.pack(handle, 0, 0)

    def do_28(self, node, body, *_):  # READDIR
        handle, offset, size = struct.unpack("<QQI", body[:20])
        if self.listings[handle] is None or offset == 0:
            with os.scandir(os.open(f"{PROC}{self.nodes[node]}", os.O_RDONLY)) as found:
                self.listings[handle] = [
                    (os.fsencode(entry.name), entry.inode(), self.kind_of(entry)) for entry in found
                ]
        answer = b""
        for place, (name, inode, kind) in enumerate(self.listings[handle][offset:], offset + 1):
            one = struct.pack("<QQII", inode, place, len(name), kind) + name
            one += b"\0" * (-len(one) % 8)
            if len(answer) + len(one) > size:
                break
            answer += one
        return answer

    @staticmethod
    def kind_of(entry):
        return 10 if entry.is_symlink() else 4 if entry.is_dir(follow_symlinks=False) else 8

    def do_29(self, _node, body, *_):  # RELEASEDIR
        del self.listings[struct.unpack("<Q", body[:8])[0]]

    def do_25(self, *_):  # FLUSH, FSYNC, FSYNCDIR, SYNCFS
        return b""

    do_20 = do_30 = do_50 = do_25

    def do_26(self, _node, body, *_):  # INIT
        major, _, readahead, _ = struct.unpack("<IIII", body[:16])
        return struct.pack(
            "<IIIIHHIIHHIIH22x", major, 31, readahead, FLOCK_LOCKS, 16, 12, LARGEST_WRITE, 1, 32, 0, 0, 0, 0
        )

    def lock(self, unique):
        self.counted["locks"] += 1
        if self.locks == "refuse":
            raise OSError(errno.ENOLCK, "no locks")
        if self.locks == "hang":
            self.waiting[unique] = True
            return None
        return b""

    # --- protocol ---

    def serve(self):
        """Answer one request."""
        try:
            request = os.read(self.device, LARGEST_WRITE + 8192)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False  # unmounted
            if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                return True
            raise
        _, opcode, unique, node, uid, gid, thread, _, _ = IN.unpack_from(request)
        body = request[IN.size :]
        if opcode == 2:
            self.forget(node, *struct.unpack("<Q", body[:8]))
        elif opcode == 42:
            (count,) = struct.unpack("<I", body[:4])
            for place in range(count):
                self.forget(*struct.unpack_from("<QQ", body, 8 + 16 * place))
        elif opcode == 36:
            (interrupted,) = struct.unpack("<Q", body[:8])
            if self.waiting.pop(interrupted, None):
                self.answer(interrupted, -errno.EINTR)
        else:
            self.reply(opcode, unique, node, body, uid, gid, thread)
        return True

    def reply(self, opcode, unique, node, body, uid, gid, thread):
        if self.delay:
            time.sleep(self.delay)
        try:
            if self.stale and thread == self.stale_for and opcode in (1, 3, 14, 27, 28):
                self.stale -= 1
                self.counted["stale"] += 1
                raise OSError(errno.ESTALE, "stale")
            if opcode in (31, 32, 33):
                answer = self.lock(unique)
                if answer is None:
                    return
            else:
                method = getattr(self, f"do_{opcode}", None)
                if method is None:
                    raise OSError(errno.ENOSYS, "not known here")
                answer = method(node, body, uid, gid)
        except OSError as error:
            self.answer(unique, -error.errno)
        except KeyError:
            self.answer(unique, -errno.ESTALE)
        else:
            self.answer(unique, 0, answer or b"")

    def answer(self, unique, error, data=b""):
        try:
            os.write(self.device, OUT.pack(OUT.size + len(data), error, unique) + data)
        except FileNotFoundError:
            pass  # the requester has ended


def main():
    directory, place, descriptor = sys.argv[1:4]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, 9)  # PR_SET_PDEATHSIG: no server outlives the tests
    os.umask(0)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    server = Server(directory, device)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if libc.mount(b"freshness", os.fsencode(place), b"fuse", 6, options.encode()):  # nosuid, nodev
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)
    control = socket.socket(fileno=int(descriptor))
    connection = control.makefile("rw")
    os.set_blocking(device, False)
    poll = select.poll()
    poll.register(device, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready == device:
                if not server.serve():
                    return
            else:
                line = connection.readline()
                if not line:
                    return
                connection.write(json.dumps(server.set(json.loads(line))) + "\n")
                connection.flush()


main()
