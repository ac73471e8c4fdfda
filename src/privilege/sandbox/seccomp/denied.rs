//! The system calls that are denied to another program, and why.
//!
//! An interpreter and its C library may need any call, so all others are allowed. Calls of kernels that are newer
//! than this list do not exist for it (`ENOSYS`).

use libc::{EPERM, c_long};

use super::allowed::{opening, openings};
use super::filter::{Answer, If, Policy, Rule};

// Newer calls have the same number everywhere; the libc crate may be older than they are.
const PROCESS_MADVISE: c_long = 440;
const MOUNT_SETATTR: c_long = 442;
const QUOTACTL_FD: c_long = 443;
const MEMFD_SECRET: c_long = 447;
const PROCESS_MRELEASE: c_long = 448;
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
/// The first call that is newer than Linux 6.16.
const NEWER: c_long = 468;
// The libc crate lacks it for riscv64, and for aarch64 with musl.
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: c_long = 320;
#[cfg(not(target_arch = "x86_64"))]
const KEXEC_FILE_LOAD: c_long = 294;

/// Calls about other processes, mounts, namespaces and the kernel itself, which nothing here needs. The
/// kernel refuses most of them to a process without capabilities, but its checks have had many flaws.
const DENIED: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    PROCESS_MADVISE,
    PROCESS_MRELEASE,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    MOUNT_SETATTR,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
    libc::SYS_inotify_init1,
    MEMFD_SECRET,
    // What processes of the same user share: memory, semaphores and queues.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Landlock allows these, so all that belongs to the user could be changed by its path.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    libc::SYS_truncate,
    libc::SYS_mknodat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_inotify_init,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
];

/// Requests that insert input into a terminal as if its user had typed it, or take the terminal over.
pub const OF_TERMINALS: [u32; 3] = [0x5412, 0x541c, 0x5423]; // TIOCSTI, TIOCLINUX, TIOCSETD
/// Requests that let the kernel send signals to another process.
pub const OF_OWNERS: [u32; 2] = [0x8901, 0x8902]; // FIOSETOWN, SIOCSPGRP
pub const SET_OWNER: [u32; 2] = [8, 15]; // F_SETOWN, F_SETOWN_EX
/// The namespaces that clone(2) can make.
pub const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// The rules for an interpreter.
pub fn to_a_program() -> Policy {
    let mut rules: Vec<Rule> = DENIED.iter().map(|call| Rule::refuse(*call, [], EPERM)).collect();
    rules.extend(openings().into_iter().flat_map(|(call, flags)| opening(call, flags)));
    for request in OF_TERMINALS.into_iter().chain(OF_OWNERS) {
        rules.push(Rule::refuse(libc::SYS_ioctl, [If::Is(1, u32::MAX, request)], EPERM));
    }
    for command in SET_OWNER {
        rules.push(Rule::refuse(libc::SYS_fcntl, [If::Is(1, u32::MAX, command)], EPERM));
    }
    rules.push(Rule::refuse(libc::SYS_utimensat, [If::Given(1)], EPERM));
    rules.push(Rule::allow(libc::SYS_socket, [If::Is(0, u32::MAX, libc::AF_UNIX as u32)]));
    rules.push(Rule::refuse(libc::SYS_socket, [], EPERM));
    for namespace in NAMESPACES.map(|flag| flag as u32) {
        rules.push(Rule::refuse(libc::SYS_clone, [If::Is(0, namespace, namespace)], EPERM));
    }
    // Its flags are in memory, where a filter can't see them. Without it, the C library uses clone.
    rules.push(Rule::refuse(libc::SYS_clone3, [], libc::ENOSYS));
    Policy { rules, otherwise: Answer::Allow, newer: Some((NEWER, Answer::Fail(libc::ENOSYS))) }
}
