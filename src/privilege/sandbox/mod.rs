//! Confinement of a process that has given up its privileges: what is left to it by its user alone is
//! still more than its job needs.
//!
//! [`enter`] is called between the last step of [`super::drop`] and the job. What the job may reach is
//! decided by who starts it ([`Needs`]); nothing of it comes from what the job is going to read. Three
//! means complement each other:
//!
//! * [`limits`]: memory, size of files, descriptors and processor time;
//! * [`landlock`]: which files can be opened, made and removed; nothing of TCP, of other processes'
//!   abstract sockets and signals;
//! * [`seccomp`]: system calls that no job makes, and those that change a file by its path alone, which
//!   Landlock lets pass: a root without capabilities may still change the mode of all that root owns.
//!
//! Where the kernel refuses to set one of them up, the others must do, unless the administrator demands
//! all; [`Confined`] says what came of it. But where the kernel says that it did, and a look shows that
//! it did not, the job does not begin.

#[cfg(all(
    feature = "seccomp",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
    target_pointer_width = "64",
    target_endian = "little"
))]
mod denied;
#[cfg(all(
    feature = "seccomp",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
    target_pointer_width = "64",
    target_endian = "little"
))]
mod filter;
#[cfg_attr(not(feature = "landlock"), path = "landlock_omitted.rs")]
pub mod landlock;
pub mod limits;
#[cfg_attr(
    not(all(
        feature = "seccomp",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
        target_pointer_width = "64",
        target_endian = "little"
    )),
    path = "seccomp_omitted.rs"
)]
pub mod seccomp;
mod state;

use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};
use crate::sys::message;
use crate::sys::signal;

pub use state::{Confined, Part, State};

/// What may be done with a path and everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Directories are listed.
    List,
    /// One regular file is read.
    File,
    /// Directories are listed and files are read.
    Read,
    /// Files and directories are made, files are replaced and removed: where indexes are.
    Index,
    /// The same in a site directory itself, where directories are removed as well.
    Change,
}

/// A path that a job must reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The path.
    pub path: PathBuf,
    /// For what.
    pub reach: Reach,
}

/// What a job needs beyond computing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// What it must reach.
    pub grants: Vec<Grant>,
    /// Directories that are made before, so that the job needs no right on those that they are in.
    pub made: Vec<PathBuf>,
    /// Whether it runs a program, which may then read everything that its user may, and change nothing.
    pub program: bool,
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

/// What a job is confined to, and how strictly.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confinement {
    /// What is left to it.
    pub needs: Needs,
    /// Whether the job must not begin where the kernel does not support all of it.
    pub required: bool,
}

/// Confines this process, for good. It must have `no_new_privs` and a single thread.
///
/// # Errors
/// When a means is not in force although it could be set up, or one is missing that is required. The
/// process must then do nothing but end.
pub fn enter(confinement: &Confinement) -> Result<Confined> {
    let Confinement { needs, required } = confinement;
    for path in &needs.made {
        // The job meets an error again, and tells it.
        let _ = make_in_our_own(path);
    }
    // The messages of the job go where they can't be sent to later.
    message::reach_journal();
    step("not being traced", nix::sys::prctl::set_dumpable(false).map_err(Into::into))?;
    signal::outlive_large_files();
    let confined = Confined {
        limits: step("verifying the limits", limits::enter())?,
        landlock: step("verifying Landlock", landlock::enter(needs))?,
        seccomp: step("verifying the filter of system calls", seccomp::enter(needs.program))?,
    };
    match confined.lacking() {
        Some(lacking) if *required => Err(Error::Unconfined { lacking }),
        _ => Ok(confined),
    }
}

/// Makes a directory, if the one that it is to be in is ours: somebody may have put another one in the
/// place of that since it was decided as whom to work.
fn make_in_our_own(path: &Path) -> std::io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::open(parent, flags, Mode::empty())?;
    if rustix::fs::fstat(&parent)?.st_uid == nix::unistd::geteuid().as_raw() {
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
    }
    Ok(())
}

fn step<T>(step: &'static str, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|source| Error::Privileges { step, source })
}
