//! Confines a process that has given up its privileges, since its user may do more than its job needs.
//!
//! [`enter`] runs between the last step of `drop::to` and the job. What the job may reach is
//! decided by the process that starts it ([`Needs`]), and never by what the job reads. Three means
//! complement each other:
//!
//! * `limits`: memory, size of files, descriptors and processor time;
//! * `landlock`: files that can be opened, made and removed; TCP, abstract sockets and signals to other
//!   processes;
//! * `seccomp`: system calls that no job makes, and those that change a file by its path alone. Landlock
//!   allows the latter, and root without capabilities may still change the mode of all that root owns.
//!
//! Where the kernel can't set one of them up, the job runs with the others, unless the administrator requires all
//! of them; [`Confined`] reports the result. Where the kernel claims to have set one up and a test shows that
//! it is not in force, the job does not begin.

#[cfg_attr(not(all(feature = "landlock", target_os = "linux")), path = "landlock_omitted.rs")]
mod landlock;
mod limits;
#[cfg_attr(
    not(all(
        feature = "seccomp",
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
        target_pointer_width = "64",
        target_endian = "little"
    )),
    path = "seccomp_omitted.rs"
)]
mod seccomp;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;

use super::step;
use crate::error::{Error, Result};
use crate::sys::root::System;
use crate::sys::{caller, message, signal};

#[cfg(target_os = "linux")]
pub use landlock::scope_signals;
pub use limits::Limits;
pub use state::{Confined, Part, State};

/// What may be done with a path and everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    List,
    File,
    Read,
    /// Files and directories are made, files are replaced and removed: where indexes are.
    Index,
    /// Files are made, replaced and removed: the start-up file in a site directory.
    Change,
    /// A directory or a file is read and executed.
    Run,
    /// Everything is made, replaced, moved and removed but devices, sockets and FIFOs: where a hook writes.
    Write,
    /// A device is read and written, such as `/dev/null`.
    Device,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub path: PathBuf,
    pub reach: Reach,
}

/// What a job needs beyond computing.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// The system that the paths belong to.
    pub system: System,
    pub grants: Vec<Grant>,
    /// Directories that are made before the job, so that it needs no right on their parents.
    pub made: Vec<PathBuf>,
    /// The kind of program that it runs, if any.
    pub program: Option<Program>,
}

/// A program that a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// An interpreter that is asked for its directories. It may read all that its user may, and change nothing.
    Interpreter,
    /// A registered hook, which reaches what is granted.
    Hook {
        /// Whether it may use the network.
        network: bool,
    },
}

impl Needs {
    /// Adds a path, unless it is there already.
    pub fn add(&mut self, path: PathBuf, reach: Reach) {
        let grant = Grant { path, reach };
        if !self.grants.contains(&grant) {
            self.grants.push(grant);
        }
    }
}

/// How long the process of a command may take. A full refresh of 10,000 distributions takes 0.3 s.
pub const TIME_LIMIT: Duration = Duration::from_secs(600);

/// What a job is confined to, and how strictly.
#[derive(Debug, Clone)]
pub struct Confinement {
    pub needs: Needs,
    /// Whether the job must not begin where the kernel does not support all of it.
    pub required: bool,
    pub limits: Limits,
    /// How long the process may take, whatever it waits for. Then it is killed.
    pub time_limit: Duration,
}

/// Confines this process, for good. It must have `no_new_privs` and a single thread.
///
/// `groups` reports which groups it could not leave. Fails when a means is not in force although it could be set up,
/// or one is missing that is required. The process must then do nothing but end.
pub fn enter(confinement: &Confinement, groups: Part) -> Result<Confined> {
    let Confinement { needs, required, limits, time_limit: _ } = confinement;
    for path in &needs.made {
        // Where this fails, the job fails too, and reports it.
        let _ = make_in_own_directory(path, &needs.system);
    }
    // No socket can be connected later.
    message::connect_journal();
    #[cfg(target_os = "linux")]
    refuse_tracers()?;
    signal::ignore_sigxfsz();
    let confined = Confined {
        limits: step("verifying the limits", limits::enter(limits))?,
        landlock: step("verifying Landlock", landlock::enter(needs))?,
        seccomp: step("verifying the filter of system calls", seccomp::enter(needs.program))?,
        groups,
    };
    match confined.lacking() {
        Some(lacking) if *required => Err(Error::Unconfined { lacking }),
        _ => Ok(confined),
    }
}

/// Lets no other process of this user trace this one.
#[cfg(target_os = "linux")]
fn refuse_tracers() -> Result<()> {
    // Where the user has changed, the kernel has done it. The tracer of an emulated root (proot) has to read its memory.
    let is_traceable = nix::sys::prctl::get_dumpable().unwrap_or(true);
    match is_traceable && !caller::is_traced() {
        true => step("not being traced", nix::sys::prctl::set_dumpable(false).map_err(Into::into)),
        false => Ok(()),
    }
}

/// Makes a directory, if its parent belongs to this process's user and no link leads to it. The parent may have
/// been replaced since the user was chosen.
fn make_in_own_directory(path: &Path, system: &System) -> Option<()> {
    let (parent, name) = (system.open_canonical(path.parent()?).ok()?, path.file_name()?);
    let is_own = rustix::fs::fstat(&parent).ok()?.st_uid == caller::uid();
    is_own.then(|| rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)).ok())?
}
