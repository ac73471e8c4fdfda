//! The system calls that a hook may make, and why. Every other one is refused, whatever newer kernels add.
//!
//! A hook starts processes and threads, and writes where that is granted. So its list is that of a job and more. It
//! leaves out: other processes' memory, mounts, namespaces, keys, `bpf`,
//! `perf`, `io_uring`, `userfaultfd`, modules, what processes of one user share, local sockets, and whatever
//! changes a file by its path alone, since Landlock allows that for all that the user owns.

use libc::{EPERM, c_long};

use super::allowed::{CALLS_OF_JOBS, opening, openings};
use super::denied::NAMESPACES;
use super::filter::{Answer, If, Policy, Rule};

// The same everywhere; the libc crate may be older.
const FACCESSAT2: c_long = 439;
const FUTEX_WAITV: c_long = 449;
const CLOSE_RANGE: c_long = 436;
const OPENAT2: c_long = 437;

/// Calls that are allowed whatever their arguments are, besides those of a job.
const CALLS_OF_HOOKS: &[c_long] = &[
    // Processes and threads of its own.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getpriority,
    libc::SYS_setpgid,
    libc::SYS_getpgid,
    libc::SYS_setsid,
    libc::SYS_getsid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_umask,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_getcpu,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    FUTEX_WAITV,
    CLOSE_RANGE,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_getpgrp,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
    #[cfg(not(target_arch = "riscv64"))]
    libc::SYS_getrlimit,
    #[cfg(not(target_arch = "riscv64"))]
    libc::SYS_setrlimit,
    // Signals. Landlock keeps them from other processes.
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_tkill,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_getitimer,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_alarm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pause,
    // Memory, code included.
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_msync,
    libc::SYS_mincore,
    // Files and directories. Landlock limits those that take a path.
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_faccessat,
    FACCESSAT2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_pwrite64,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_getdents,
    // Pipes and events.
    libc::SYS_pipe2,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_create,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_eventfd,
    // What is done with a pair of sockets.
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
];

/// Calls with which a socket reaches others.
const OF_NETWORK: &[c_long] = &[
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
];

/// Set-user-id, set-group-id, and the right to write for others than the owner. fchmod(2) also works on a file that the
/// hook may only read.
const REFUSED_MODES: u32 = 0o6022;

/// Copying descriptors, their flags, locks and the size of a pipe.
const OF_DESCRIPTORS: [i32; 11] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_GETPIPE_SZ,
    libc::F_SETPIPE_SZ,
];
/// Whether something is a terminal, how much can be read, flags of a descriptor, and copying a file.
const OF_DEVICES: [u32; 8] = [
    0x5401,      // TCGETS
    0x802c_542a, // TCGETS2
    0x5413,      // TIOCGWINSZ
    0x541b,      // FIONREAD
    0x5421,      // FIONBIO
    0x5450,      // FIONCLEX
    0x5451,      // FIOCLEX
    0x4004_9409, // FICLONE
];
/// About the process itself: its name, what it gets when its parent ends, capabilities that it does not have, and
/// the names of its memory.
const ABOUT_ITSELF: [u32; 9] = [
    1,           // PR_SET_PDEATHSIG
    2,           // PR_GET_PDEATHSIG
    3,           // PR_GET_DUMPABLE
    15,          // PR_SET_NAME
    16,          // PR_GET_NAME
    23,          // PR_CAPBSET_READ
    39,          // PR_GET_NO_NEW_PRIVS
    0x4155_5856, // PR_GET_AUXV
    0x5356_4d41, // PR_SET_VMA
];

/// The rules for a hook.
pub fn to_a_hook(network: bool) -> Policy {
    let calls = CALLS_OF_JOBS.iter().chain(CALLS_OF_HOOKS).chain(if network { OF_NETWORK } else { &[] });
    let mut rules: Vec<Rule> = calls.map(|call| Rule::allow(*call, [])).collect();
    rules.extend(openings().into_iter().flat_map(|(call, flags)| opening(call, flags)));
    // Its mode is in memory, where a filter can't see it.
    rules.push(Rule::refuse(OPENAT2, [], libc::ENOSYS));
    rules.push(Rule::allow(libc::SYS_fchmod, [If::Is(1, REFUSED_MODES, 0)]));
    // By descriptor only.
    rules.push(Rule::refuse(libc::SYS_utimensat, [If::Given(1)], EPERM));
    rules.push(Rule::allow(libc::SYS_utimensat, []));
    // A device in place of the old name is never made.
    rules.push(Rule::allow(libc::SYS_renameat2, [If::Is(4, !1, 0)]));
    for namespace in NAMESPACES.map(|flag| flag as u32) {
        rules.push(Rule::refuse(libc::SYS_clone, [If::Is(0, namespace, namespace)], EPERM));
    }
    rules.push(Rule::allow(libc::SYS_clone, []));
    // Its flags are in memory. Without it, the C library uses clone.
    rules.push(Rule::refuse(libc::SYS_clone3, [], libc::ENOSYS));
    rules.push(Rule::allow(libc::SYS_prlimit64, [is(0, 0)]));
    rules.extend(OF_DESCRIPTORS.map(|command| Rule::allow(libc::SYS_fcntl, [is(1, command as u32)])));
    rules.extend(OF_DEVICES.map(|request| Rule::allow(libc::SYS_ioctl, [is(1, request)])));
    rules.extend(ABOUT_ITSELF.map(|operation| Rule::allow(libc::SYS_prctl, [is(0, operation)])));
    // A pair of sockets that are connected to each other for good. One for datagrams could send to others.
    rules.push(Rule::allow(libc::SYS_socketpair, [If::Is(1, 0xf, libc::SOCK_STREAM as u32)]));
    if network {
        for family in [libc::AF_INET, libc::AF_INET6] {
            rules.push(Rule::allow(libc::SYS_socket, [is(0, family as u32)]));
        }
    } else {
        // send(3) on a socket of a pair.
        rules.push(Rule::refuse(libc::SYS_sendto, [If::Given(4)], EPERM));
        rules.push(Rule::allow(libc::SYS_sendto, []));
    }
    Policy { rules, otherwise: Answer::Fail(EPERM), newer: None }
}

fn is(argument: usize, value: u32) -> If {
    If::Is(argument, u32::MAX, value)
}
