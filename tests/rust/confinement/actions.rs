//! What an attacker attempts inside a worker process.
// Each block asks the kernel for something that it must refuse; otherwise the process ends soon.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use libc::{c_int, c_long};
use nix::unistd::{ForkResult, Gid, Uid};
use serde::{Deserialize, Serialize};

use super::taken_over::Results;

/// The targets of the attacks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Surroundings {
    /// A file of the user's own that the job does not need, with another beside it.
    pub own: PathBuf,
    /// A file of root's that no other user may read.
    pub secret: PathBuf,
    /// A directory in which every user may make files.
    pub open: PathBuf,
    /// A local port on which another process listens.
    pub port: u16,
    /// An abstract socket of another process.
    pub abstract_socket: String,
    /// A socket of another process with a path.
    pub socket: PathBuf,
    /// The numbers of shared memory, a semaphore and a queue of the same user.
    pub shared: [i32; 3],
    /// The directory of indexes; the site directory; a file in it.
    pub index: PathBuf,
    pub site: PathBuf,
    pub metadata: PathBuf,
}

/// Attempts everything.
pub fn all(around: &Surroundings) -> Results {
    let parent = nix::unistd::getppid().as_raw();
    let Surroundings { own, secret, open, index, site, metadata, .. } = around;
    let beside = |name: &str| own.with_file_name(name);
    let in_proc = |name| PathBuf::from(format!("/proc/{parent}/{name}"));
    let attempts: Vec<(&str, io::Result<()>)> = vec![
        ("read /etc/shadow", read(Path::new("/etc/shadow"))),
        ("read /etc/passwd", read(Path::new("/etc/passwd"))),
        ("read a secret of root's", read(secret)),
        ("read a file of one's own", read(own)),
        ("list /", std::fs::read_dir("/").map(drop)),
        ("list a directory of one's own", std::fs::read_dir(beside("")).map(drop)),
        ("write to a file of one's own", OpenOptions::new().append(true).open(own).map(drop)),
        ("open a file of one's own and truncate it", truncating(own)),
        ("truncate a file of one's own by its path", call(path_of(own), |p| unsafe { libc::truncate(p, 0) })),
        ("make a file in an open directory", File::create(open.join("made")).map(drop)),
        ("make a directory in an open directory", std::fs::create_dir(open.join("directory"))),
        ("make a link in an open directory", std::os::unix::fs::symlink("x", open.join("link"))),
        (
            "make a FIFO in an open directory",
            call(path_of(&open.join("fifo")), |p| unsafe { libc::mkfifo(p, 0o600) }),
        ),
        ("make a file in the site directory", File::create(site.join("made")).map(drop)),
        ("write to a file in the site directory", OpenOptions::new().append(true).open(metadata).map(drop)),
        ("rename a file of one's own", std::fs::rename(beside("other"), beside("renamed"))),
        (
            "link a file of one's own into the cache",
            std::fs::hard_link(beside("third"), index.join("linked")),
        ),
        ("remove a file of one's own", std::fs::remove_file(beside("fourth"))),
        ("change the mode of a file of one's own", set_mode(own, 0o666)),
        (
            "change the mode of a file in the site directory",
            File::open(metadata).and_then(|file| mode_of(&file, 0o666)),
        ),
        (
            "change the owner of a file of one's own",
            std::os::unix::fs::chown(own, None, Some(nix::unistd::getgid().as_raw())),
        ),
        ("set an attribute of a file of one's own", attribute(own)),
        ("change the mode of a secret of root's", set_mode(secret, 0o666)),
        (
            "make a file that sets the user",
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o4755)
                .open(index.join("set-id"))
                .map(drop),
        ),
        (
            "make a file set the user",
            File::create(index.join("set-id-later")).and_then(|file| mode_of(&file, 0o4755)),
        ),
        ("connect by TCP", std::net::TcpStream::connect(("127.0.0.1", around.port)).map(drop)),
        (
            "send by UDP",
            std::net::UdpSocket::bind("127.0.0.1:0")
                .and_then(|socket| socket.send_to(b"x", ("127.0.0.1", around.port)))
                .map(drop),
        ),
        ("connect to an abstract socket", abstract_socket(&around.abstract_socket)),
        ("connect to a socket", UnixStream::connect(&around.socket).map(drop)),
        ("fork", fork()),
        (
            "start a thread",
            std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().expect("no panic")),
        ),
        ("execute a program", execute()),
        ("become root by setuid", nix::unistd::setuid(Uid::from_raw(0)).map_err(Into::into)),
        (
            "become root by setresuid",
            nix::unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).map_err(Into::into),
        ),
        ("get another group", nix::unistd::setgroups(&[Gid::from_raw(42)]).map_err(Into::into)),
        (
            "get a capability",
            caps::raise(None, caps::CapSet::Permitted, caps::Capability::CAP_DAC_OVERRIDE)
                .map_err(|_| io::Error::from_raw_os_error(libc::EPERM)),
        ),
        ("send init a signal", result(unsafe { libc::kill(1, 0) })),
        ("send the parent a signal", result(unsafe { libc::kill(parent, 0) })),
        ("send a thread of the parent a signal", raw(libc::SYS_tgkill, [parent.into(), parent.into(), 0, 0])),
        ("send a process of one's own group a signal", result(unsafe { libc::kill(0, 0) })),
        ("trace the parent", raw(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), parent.into(), 0, 0])),
        ("read the parent's memory", read_memory(parent)),
        (
            "open the parent's memory",
            OpenOptions::new().read(true).write(true).open(in_proc("mem")).map(drop),
        ),
        ("read the parent's environment", read(&in_proc("environ"))),
        ("make a user namespace", raw(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0])),
        (
            "mount something",
            raw(
                libc::SYS_mount,
                [c"x".as_ptr() as c_long, c"/mnt".as_ptr() as c_long, c"tmpfs".as_ptr() as c_long, 0],
            ),
        ),
        ("load a program into the kernel", raw(libc::SYS_bpf, [0, 0, 0, 0])),
        ("use a key", raw(libc::SYS_keyctl, [0, -3, 0, 0])),
        ("set up io_uring", raw(libc::SYS_io_uring_setup, [1, 0, 0, 0])),
        (
            "change a limit",
            result(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 }) }),
        ),
        (
            "type into a terminal",
            raw(libc::SYS_ioctl, [0, libc::TIOCSTI as c_long, c"x".as_ptr() as c_long, 0]),
        ),
        (
            "use shared memory of another process",
            raw(libc::SYS_shmat, [i64::from(around.shared[0]), 0, 0, 0]),
        ),
        (
            "remove shared memory",
            raw(libc::SYS_shmctl, [i64::from(around.shared[0]), libc::IPC_RMID.into(), 0, 0]),
        ),
        ("use a semaphore", raw(libc::SYS_semctl, [i64::from(around.shared[1]), 0, libc::GETVAL.into(), 0])),
        (
            "send to a queue",
            raw(
                libc::SYS_msgsnd,
                [i64::from(around.shared[2]), (&raw const MESSAGE) as c_long, 1, libc::IPC_NOWAIT.into()],
            ),
        ),
        ("remove a queue", raw(libc::SYS_msgctl, [i64::from(around.shared[2]), libc::IPC_RMID.into(), 0, 0])),
        (
            "make a POSIX queue",
            raw(
                libc::SYS_mq_open,
                [c"epcache-test".as_ptr() as c_long, (libc::O_CREAT | libc::O_RDWR).into(), 0o600, 0],
            ),
        ),
        (
            "set the times of a file of one's own",
            raw(libc::SYS_utimensat, [libc::AT_FDCWD.into(), path_of(own).as_ptr() as c_long, 0, 0]),
        ),
        ("set the flags of a file of one's own", flags(own)),
        (
            "list the attributes of a file of one's own",
            raw(libc::SYS_listxattr, [path_of(own).as_ptr() as c_long, 0, 0, 0]),
        ),
        ("watch a directory of one's own", watch(&beside(""))),
        ("send init the signals of a descriptor", signals_of_a_descriptor()),
        ("lock a range of a file in the site directory", lock_range(metadata)),
        ("be traced again", result(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) })),
        ("leave the group of processes", result(unsafe { libc::setpgid(0, 0) })),
        ("map memory for code", map_code()),
        ("make memory executable", protect_code()),
        ("make a file in memory", raw(libc::SYS_memfd_create, [c"x".as_ptr() as c_long, 0, 0, 0])),
        (
            "allocate room on the disk",
            File::create(index.join("room"))
                .and_then(|file| raw(libc::SYS_fallocate, [file.as_raw_fd().into(), 0, 0, 4096])),
        ),
        ("exchange two files of the index", exchange(index)),
        ("set up Landlock", raw(libc::SYS_landlock_create_ruleset, [0, 0, 1, 0])),
        ("call what no kernel has yet", unknown()),
        ("call by the numbers of x32", x32()),
        ("call by the numbers of 32 bits", of_32_bits()),
        ("use 5 GiB of memory", memory()),
        ("make a file of 2 GiB", large(&index.join("large"))),
        ("open 2000 files", (0..2000).map(|_| File::open(site)).collect::<io::Result<Vec<_>>>().map(drop)),
        // Required for the job.
        ("needed: read metadata", read(metadata)),
        ("needed: list the site directory", std::fs::read_dir(site).map(drop)),
        ("needed: write an index", replace(index)),
        ("needed: stat what is elsewhere", own.metadata().map(drop)),
        (
            "needed: set the time of a file that is open",
            File::create(index.join("stamped")).and_then(|file| set_time(&file)),
        ),
        ("needed: learn that something is no terminal", not_a_terminal(site)),
    ];
    attempts.into_iter().map(|(name, result)| (name.to_owned(), named(&result))).collect()
}

fn named(result: &io::Result<()>) -> String {
    match result {
        Ok(()) => "allowed".to_owned(),
        Err(error) => error
            .raw_os_error()
            .map_or_else(|| error.to_string(), |number| format!("{:?}", nix::errno::Errno::from_raw(number))),
    }
}

fn read(path: &Path) -> io::Result<()> {
    File::open(path).map(drop)
}

/// Without asking for the right to write.
fn truncating(path: &Path) -> io::Result<()> {
    let opened = unsafe { libc::open(path_of(path).as_ptr(), libc::O_RDONLY | libc::O_TRUNC) };
    result(opened)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn mode_of(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

fn attribute(path: &Path) -> io::Result<()> {
    let value = c"x";
    result(unsafe { libc::setxattr(path_of(path).as_ptr(), c"user.x".as_ptr(), value.as_ptr().cast(), 1, 0) })
}

fn abstract_socket(name: &str) -> io::Result<()> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop)
}

fn fork() -> io::Result<()> {
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { child } => nix::sys::wait::waitpid(child, None).map(drop).map_err(Into::into),
    }
}

/// In a child process where that is possible, since it does not return.
fn execute() -> io::Result<()> {
    let execute = || {
        let program = c"/bin/true";
        let arguments = [program.as_ptr(), std::ptr::null()];
        unsafe { libc::execv(program.as_ptr(), arguments.as_ptr()) };
        io::Error::last_os_error()
    };
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Child) => {
            let error = execute().raw_os_error().unwrap_or(255);
            unsafe { libc::_exit(error) }
        }
        Ok(ForkResult::Parent { child }) => match nix::sys::wait::waitpid(child, None)? {
            nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(()),
            nix::sys::wait::WaitStatus::Exited(_, error) => Err(io::Error::from_raw_os_error(error)),
            other => Err(io::Error::other(format!("{other:?}"))),
        },
        Err(_) => Err(execute()),
    }
}

fn read_memory(process: c_int) -> io::Result<()> {
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // The same address in the parent, of which this is a copy.
    let remote = local;
    match unsafe { libc::process_vm_readv(process, &local, 1, &remote, 1, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(target_arch = "x86_64")]
fn x32() -> io::Result<()> {
    raw(0x4000_0000 | libc::SYS_getpid, [0; 4])
}

#[cfg(target_arch = "x86_64")]
fn of_32_bits() -> io::Result<()> {
    const GETPID: i32 = 20;
    let answer: i32;
    // SAFETY: asks for the process's number.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") GETPID => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
    };
    if answer < 0 { Err(io::Error::from_raw_os_error(-answer)) } else { Ok(()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn x32() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

#[cfg(not(target_arch = "x86_64"))]
fn of_32_bits() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

fn memory() -> io::Result<()> {
    let length = 5_usize << 30;
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    result(unsafe { libc::munmap(mapped, length) })
}

fn large(path: &Path) -> io::Result<()> {
    use std::io::{Seek, Write};
    let mut file = File::create(path)?;
    file.seek(io::SeekFrom::Start(2 << 30))?;
    file.write_all(b"x")
}

fn replace(index: &Path) -> io::Result<()> {
    let temporary = index.join(".index.x");
    let file = File::create(&temporary)?;
    mode_of(&file, 0o644)?;
    std::fs::create_dir_all(index.join("below"))?;
    std::fs::rename(&temporary, index.join("index"))?;
    std::fs::remove_file(index.join("index"))
}

/// A message to a queue: its type, and no text.
static MESSAGE: [c_long; 2] = [1, 0];

/// By the path, as chattr(1) can since Linux 6.17 (`file_setattr`): the flag `nodump`.
fn flags(path: &Path) -> io::Result<()> {
    const FILE_SETATTR: c_long = 469;
    let attributes: [u64; 3] = [0x80, 0, 0];
    let (path, attributes_at) = (path_of(path), (&raw const attributes) as c_long);
    let size = size_of_val(&attributes) as c_long;
    match unsafe { libc::syscall(FILE_SETATTR, libc::AT_FDCWD, path.as_ptr(), attributes_at, size, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn watch(directory: &Path) -> io::Result<()> {
    let watcher = unsafe { libc::inotify_init1(0) };
    result(watcher)?;
    result(unsafe { libc::inotify_add_watch(watcher, path_of(directory).as_ptr(), libc::IN_ALL_EVENTS) })
}

/// By ioctl, which is not the call that libraries make for it.
fn signals_of_a_descriptor() -> io::Result<()> {
    const FIOSETOWN: c_long = 0x8901;
    let init: c_int = 1;
    let is_socket = |number: &c_int| {
        let path = std::fs::read_link(format!("/proc/self/fd/{number}"));
        path.is_ok_and(|path| path.to_string_lossy().starts_with("socket:"))
    };
    // The socket for the answer.
    let socket = (3..20).find(is_socket).unwrap_or(4);
    raw(libc::SYS_ioctl, [socket.into(), FIOSETOWN, (&raw const init) as c_long, 0])
}

fn lock_range(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_RDLCK as i16;
    raw(libc::SYS_fcntl, [file.as_raw_fd().into(), libc::F_SETLK.into(), (&raw const lock) as c_long, 0])
}

fn map_code() -> io::Result<()> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn protect_code() -> io::Result<()> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    result(unsafe { libc::mprotect(mapped, 4096, libc::PROT_READ | libc::PROT_EXEC) })
}

fn exchange(index: &Path) -> io::Result<()> {
    let (one, other) = (index.join("one"), index.join("another"));
    for path in [&one, &other] {
        File::create(path)?;
    }
    let (one, other) = (path_of(&one), path_of(&other));
    let at = libc::AT_FDCWD;
    let exchange = libc::RENAME_EXCHANGE;
    match unsafe { libc::syscall(libc::SYS_renameat2, at, one.as_ptr(), at, other.as_ptr(), exchange) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The kernel does not know these numbers; the filter refuses them before it is asked.
fn unknown() -> io::Result<()> {
    let refused =
        |number: &c_long| raw(*number, [-1; 4]).is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
    match (600..1200).find(|number| !refused(number)) {
        None => Err(io::Error::from_raw_os_error(libc::EPERM)),
        Some(_) => Ok(()),
    }
}

fn set_time(file: &File) -> io::Result<()> {
    result(unsafe { libc::futimens(file.as_raw_fd(), std::ptr::null()) })
}

/// With the error that a C library takes for "no terminal".
fn not_a_terminal(site: &Path) -> io::Result<()> {
    let directory = File::open(site)?;
    match unsafe { libc::isatty(directory.as_raw_fd()) } {
        0 if io::Error::last_os_error().raw_os_error() == Some(libc::ENOTTY) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn raw(number: c_long, [one, two, three, four]: [c_long; 4]) -> io::Result<()> {
    match unsafe { libc::syscall(number, one, two, three, four, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn result(returned: c_int) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn path_of(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

fn call(path: CString, function: impl Fn(*const libc::c_char) -> c_int) -> io::Result<()> {
    let path: &CStr = &path;
    result(function(path.as_ptr()))
}
