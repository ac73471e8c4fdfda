//! The system calls that a job may make, and why. Every other one is refused, whatever newer kernels add.
//!
//! The list is longer than what one build uses: C libraries, architectures and versions of crates differ in
//! the call that they choose for the same thing. docs/reference/privileges.md repeats the list.

use libc::{EPERM, c_long};

use super::filter::{Answer, If, Policy, Rule};
use crate::sys::caller;

// The same everywhere; the libc crate may be older.
const OPENAT2: c_long = 437;
/// `PR_GET_AUXV` of Linux 6.4.
const GET_AUXILIARY_VECTOR: u32 = 0x4155_5856;

/// Calls that are allowed whatever their arguments are. Landlock limits those that take a path.
pub const CALLS_OF_JOBS: &[c_long] = &[
    // Files and directories: looking at them, reading, and replacing an index.
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    #[cfg(not(target_arch = "riscv64"))]
    libc::SYS_renameat,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_dup,
    libc::SYS_dup3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Waiting: for the list of a trigger, for a lock, for the clock of a file system.
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    // The time, where the kernel's shared library (vDSO) does not have it.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    // The process itself. Random numbers are the seeds of hash tables.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrandom,
    // Signals of its own, and the end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Indexes are for all to read, directories for all to enter, and locks for their owner.
const MODES: [u32; 3] = [0o644, 0o755, 0o600];
/// Copying descriptors, and their flags. Locks by fcntl and owners of signals are not needed.
const OF_DESCRIPTORS: [i32; 6] =
    [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL];
/// Whether something is a terminal, as C libraries ask it; and what the standard library sets by ioctl.
const OF_DEVICES: [u32; 5] = [
    0x5401,      // TCGETS
    0x802c_542a, // TCGETS2
    0x5413,      // TIOCGWINSZ
    0x5421,      // FIONBIO
    0x5451,      // FIOCLEX
];

/// The rules for a job of this program itself.
pub fn to_a_job() -> Policy {
    let mut rules: Vec<Rule> = CALLS_OF_JOBS.iter().map(|call| Rule::allow(*call, [])).collect();
    rules.extend(openings().into_iter().flat_map(|(call, flags)| opening(call, flags)));
    // Its mode argument is in memory, where a filter can't see it, so root could make a set-user-id
    // file. Callers of openat2 handle ENOSYS, since older kernels lack the call.
    rules.push(match caller::is_root() {
        true => Rule::refuse(OPENAT2, [], libc::ENOSYS),
        false => Rule::allow(OPENAT2, []),
    });
    rules.extend(MODES.map(|mode| Rule::allow(libc::SYS_fchmod, [If::Is(1, 0o7777, mode)])));
    // By descriptor only. Landlock lets a process change the times of all that its user owns.
    rules.push(Rule::refuse(libc::SYS_utimensat, [If::Given(1)], EPERM));
    rules.push(Rule::allow(libc::SYS_utimensat, []));
    // An exchange, or a device in place of the old name, is never made.
    rules.push(Rule::allow(libc::SYS_renameat2, [If::Is(4, u32::MAX, 0)]));
    rules.extend(OF_DESCRIPTORS.map(|command| Rule::allow(libc::SYS_fcntl, [is(1, command as u32)])));
    rules.extend(OF_DEVICES.map(|request| Rule::allow(libc::SYS_ioctl, [is(1, request)])));
    // Only to the peer of a connected socket: those of the answer and of the journal.
    rules.push(Rule::refuse(libc::SYS_sendto, [If::Given(4)], EPERM));
    rules.push(Rule::allow(libc::SYS_sendto, []));
    // A job loads no code: all of it is loaded before the job begins.
    let executable = libc::PROT_EXEC as u32;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.push(Rule::allow(call, [If::Is(2, executable, 0)]));
    }
    // The rustix crate looks for the kernel's shared library.
    rules.push(Rule::allow(libc::SYS_prctl, [is(0, GET_AUXILIARY_VECTOR)]));
    // Limits are read, not set.
    rules.push(Rule::refuse(libc::SYS_prlimit64, [If::Given(2)], EPERM));
    rules.push(Rule::allow(libc::SYS_prlimit64, []));
    // abort(3) sends a signal to the process itself.
    for call in [libc::SYS_tgkill, libc::SYS_tkill] {
        rules.push(Rule::allow(call, [is(0, std::process::id())]));
    }
    Policy { rules, otherwise: Answer::Fail(EPERM), newer: None }
}

/// The calls that open files, and the position of their flags; the mode follows.
pub fn openings() -> Vec<(c_long, usize)> {
    vec![
        (libc::SYS_openat, 2),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, 1),
    ]
}

/// Opens nothing with set-user-id or set-group-id, and truncates nothing without write access, which
/// Landlock before ABI 3 does not check.
pub fn opening(call: c_long, flags: usize) -> Vec<Rule> {
    const SET_ID: [u32; 2] = [0o4000, 0o2000];
    let truncates = libc::O_TRUNC as u32;
    let access = libc::O_ACCMODE as u32;
    let mut rules = vec![Rule::refuse(call, [If::Is(flags, truncates | access, truncates)], EPERM)];
    for makes in [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY].map(|flag| flag as u32) {
        for bit in SET_ID {
            rules.push(Rule::refuse(call, [If::Is(flags, makes, makes), If::Is(flags + 1, bit, bit)], EPERM));
        }
    }
    rules.push(Rule::allow(call, []));
    rules
}

fn is(argument: usize, value: u32) -> If {
    If::Is(argument, u32::MAX, value)
}
