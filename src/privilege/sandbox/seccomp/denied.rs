//! The system calls that are denied, and why.

use libc::{EPERM, c_long};

use super::filter::{If, Rule};

// Newer calls have the same number everywhere; the libc crate may be older than they are.
const OPENAT2: c_long = 437;
const PROCESS_MADVISE: c_long = 440;
const MOUNT_SETATTR: c_long = 442;
const QUOTACTL_FD: c_long = 443;
const MEMFD_SECRET: c_long = 447;
const PROCESS_MRELEASE: c_long = 448;
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
#[cfg(target_arch = "aarch64")]
const SETRLIMIT: c_long = 164;
#[cfg(not(target_arch = "aarch64"))]
const SETRLIMIT: c_long = libc::SYS_setrlimit;
#[cfg(target_arch = "riscv64")]
const KEXEC_FILE_LOAD: c_long = 294;
#[cfg(not(target_arch = "riscv64"))]
const KEXEC_FILE_LOAD: c_long = libc::SYS_kexec_file_load;

/// Calls about other processes, mounts, namespaces and the kernel itself, which nothing here needs. The
/// kernel refuses most of them to a process without capabilities, but its checks have had many flaws.
const TO_ALL: &[c_long] = &[
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
    MEMFD_SECRET,
    // Landlock allows these, so all that belongs to the user could be changed by its path.
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
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
];

/// Calls about programs, processes and sockets. The answer goes through a socket that is there already,
/// and messages go to the journal through one that is connected.
const TO_A_JOB: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone,
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    SETRLIMIT,
    libc::SYS_setpriority,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_ioprio_set,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_memfd_create,
    libc::SYS_mq_open,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_shmget,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
];

/// Requests that insert input into a terminal as if its user had typed it, or take the terminal over.
const OF_TERMINALS: [u32; 3] = [0x5412, 0x541c, 0x5423]; // TIOCSTI, TIOCLINUX, TIOCSETD
const F_SETOWN: u32 = 8;
const F_SETOWN_EX: u32 = 15;
/// The namespaces that clone(2) can make.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// Set-user-id and set-group-id.
const SET_ID: [u32; 2] = [0o4000, 0o2000];

/// The rules for a job of this program itself.
pub fn to_a_job() -> Vec<Rule> {
    let mut rules = openings();
    rules.extend(always(TO_ALL));
    rules.extend(always(TO_A_JOB));
    // Indexes are for all to read, directories for all to enter, and locks for their owner.
    let modes = [0o644, 0o755, 0o600];
    rules.push(on(libc::SYS_fchmod, modes.map(|mode| If::IsNot(1, 0o7777, mode))));
    rules.push(on(libc::SYS_sendto, [If::Given(4)]));
    rules.push(on(libc::SYS_prlimit64, [If::Given(2)]));
    // abort(3) sends a signal to the process itself.
    rules.push(on(libc::SYS_tgkill, [If::IsNot(0, u32::MAX, std::process::id())]));
    for command in [F_SETOWN, F_SETOWN_EX] {
        rules.push(on(libc::SYS_fcntl, [If::Is(1, u32::MAX, command)]));
    }
    // Its mode argument is in memory, where a filter can't see it, so root could make a set-user-id
    // file. Callers of openat2 handle ENOSYS, since older kernels lack the call.
    if nix::unistd::geteuid().is_root() {
        rules.push(Rule { call: OPENAT2, when: Vec::new(), error: libc::ENOSYS });
    }
    rules
}

/// The rules for another program, which may do anything but change files.
pub fn to_a_program() -> Vec<Rule> {
    let mut rules = openings();
    rules.extend(always(TO_ALL));
    rules.push(on(libc::SYS_fchmod, []));
    let local = libc::AF_UNIX as u32;
    rules.push(on(libc::SYS_socket, [If::IsNot(0, u32::MAX, local)]));
    for namespace in NAMESPACES.map(|flag| flag as u32) {
        rules.push(on(libc::SYS_clone, [If::Is(0, namespace, namespace)]));
    }
    // Its flags are in memory, where a filter can't see them. Without it, the C library uses clone.
    rules.push(Rule { call: libc::SYS_clone3, when: Vec::new(), error: libc::ENOSYS });
    rules
}

/// The rules about the most frequent calls. They come first, since rules are tried one by one.
fn openings() -> Vec<Rule> {
    let calls = [
        (libc::SYS_openat, 2),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, 1),
    ];
    let mut rules = Vec::new();
    for (call, flags) in calls {
        let truncates = libc::O_TRUNC as u32;
        let access = libc::O_ACCMODE as u32;
        // Truncation without write access: Landlock before ABI 3 does not check that.
        rules.push(on(call, [If::Is(flags, truncates | access, truncates)]));
        let makes = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY].map(|flag| flag as u32);
        for makes in makes {
            for bit in SET_ID {
                rules.push(on(call, [If::Is(flags, makes, makes), If::Is(flags + 1, bit, bit)]));
            }
        }
    }
    for request in OF_TERMINALS {
        rules.push(on(libc::SYS_ioctl, [If::Is(1, u32::MAX, request)]));
    }
    rules
}

fn always(calls: &[c_long]) -> impl Iterator<Item = Rule> {
    calls.iter().map(|call| Rule { call: *call, when: Vec::new(), error: EPERM })
}

fn on<const N: usize>(call: c_long, when: [If; N]) -> Rule {
    Rule { call, when: when.to_vec(), error: EPERM }
}
