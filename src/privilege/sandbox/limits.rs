//! Resource limits of a job. docs/reference/privileges.md has the reasons for the numbers.

use std::io;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::{Part, State};

/// Bytes of memory that the process can write to. The address space is not limited, since an interpreter may
/// reserve any amount of it.
const MEMORY: u64 = 4 << 30;
/// The limit on the size of files, as a multiple of the job's largest file.
const FILE_SIZE_FACTOR: u64 = 4;
/// The highest number of descriptors. The deepest walk of a tree has 70 open.
const DESCRIPTORS: u64 = 1024;
/// Seconds of processor time. A directory with 10,000 distributions takes 0.3 s.
const SECONDS: u64 = 600;

/// The limits that depend on the job.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory that a process can write to.
    pub memory: u64,
    /// Bytes of the largest file that it can write.
    pub file: u64,
    /// How many processes and threads its user may have, those of others included.
    pub processes: Option<u64>,
}

impl Limits {
    /// Those of a job whose largest file has `largest_file` bytes.
    pub fn of_job(largest_file: u64) -> Self {
        Self { memory: MEMORY, file: FILE_SIZE_FACTOR * largest_file, processes: None }
    }
}

/// Sets all limits. A lower limit of the caller stays. One that is accepted without effect, as by an emulator
/// (qemu-user), counts as refused.
pub fn enter(limits: &Limits) -> io::Result<Part> {
    let limits = [
        (Resource::RLIMIT_DATA, limits.memory),
        (Resource::RLIMIT_FSIZE, limits.file),
        #[cfg(not(target_vendor = "apple"))]
        (Resource::RLIMIT_NPROC, limits.processes.unwrap_or(u64::MAX)),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
        (Resource::RLIMIT_CPU, SECONDS),
        (Resource::RLIMIT_CORE, 0),
    ];
    let mut refused = Vec::new();
    for (resource, most) in limits {
        let wanted = |allowed: rlim_t| allowed.min(rlim_t::try_from(most).unwrap_or(rlim_t::MAX));
        let set = getrlimit(resource).and_then(|(soft, hard)| {
            let (soft, hard) = (wanted(soft), wanted(hard));
            setrlimit(resource, soft, hard).map(|()| (soft, hard))
        });
        match set {
            Ok(expected) => {
                let found = getrlimit(resource)?;
                if found != expected {
                    refused.push(format!("{resource:?}: no effect"));
                }
            }
            Err(error) => refused.push(format!("{resource:?}: {}", error.desc())),
        }
    }
    Ok(match refused.len() {
        0 => Part::new(State::Enforced, "memory, size of files, descriptors, processor time, no core"),
        count if count < limits.len() => Part::new(State::Partial, refused.join(", ")),
        _ => Part::new(State::Missing, refused.join(", ")),
    })
}
