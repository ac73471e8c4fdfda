//! Kernels with missing features, simulated by a filter of system calls.
#![allow(unsafe_code)]

use std::io;

use serde::{Deserialize, Serialize};

/// A feature that a kernel lacks, or pretends to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mask {
    /// All features of the running kernel.
    Nothing,
    /// No Landlock.
    Landlock,
    /// No filters of system calls besides this one.
    Seccomp,
    /// Neither.
    Both,
    /// Neither, and no calls that are newer than Linux 5.2: none about descriptors of processes, about many
    /// descriptors, or to open a file without links on the way.
    Old,
    /// Landlock that reports success and does not confine.
    LyingLandlock,
    /// Filters that report success and do not confine.
    LyingSeccomp,
}

impl Mask {
    /// The calls that fail, and their results.
    fn calls(self) -> Vec<(libc::c_long, i32)> {
        let landlock = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_restrict_self];
        let landlock = landlock.map(|call| (call, libc::ENOSYS));
        let seccomp = [(libc::SYS_seccomp, libc::ENOSYS)];
        match self {
            Self::Nothing => Vec::new(),
            Self::Landlock => landlock.to_vec(),
            Self::Seccomp => seccomp.to_vec(),
            Self::Both => [&landlock[..], &seccomp].concat(),
            Self::Old => {
                let newer = [libc::SYS_pidfd_open, libc::SYS_close_range, libc::SYS_openat2];
                let newer = newer.map(|call| (call, libc::ENOSYS));
                [&landlock[..], &seccomp, &newer].concat()
            }
            Self::LyingLandlock => vec![(libc::SYS_landlock_restrict_self, 0)],
            Self::LyingSeccomp => vec![(libc::SYS_seccomp, 0)],
        }
    }

    /// Applies the filter to this process, which must be root. Children inherit it.
    pub fn put_on(self) -> io::Result<()> {
        let code = |code: u32| u16::try_from(code).expect("a code");
        let statement = |operation, k| libc::sock_filter { code: code(operation), jt: 0, jf: 0, k };
        // The position of the call's number, on every architecture.
        let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
        for (call, error) in self.calls() {
            program.push(libc::sock_filter {
                code: code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
                jt: 0,
                jf: 1,
                k: u32::try_from(call).expect("a number"),
            });
            let answer = libc::SECCOMP_RET_ERRNO | u32::try_from(error).expect("a number");
            program.push(statement(libc::BPF_RET | libc::BPF_K, answer));
        }
        program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
        let length = u16::try_from(program.len()).expect("a short program");
        let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
        // SAFETY: the kernel copies the program, which lives until then.
        match unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
