//! Who writes the index of a site directory, and where.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::privilege::RunAs;
use crate::store::location::{self, Location};
use crate::sys::root::{System, User};

/// A site directory with the rules for its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub site: PathBuf,
    pub location: &'static Location,
    /// The user as which everything that concerns it is done.
    pub run_as: RunAs,
}

/// What a command does with site directories and their indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Inspect,
    /// Works out what a refresh would do, and writes nothing.
    DryRun,
    Refresh,
    /// Writes start-up files into site directories.
    Enable,
    /// Removes start-up files from site directories.
    Disable,
}

impl Operation {
    pub fn writes(self) -> bool {
        !matches!(self, Self::Inspect | Self::DryRun)
    }

    /// Whether it fails where the user who writes system-wide indexes does not exist.
    ///
    /// `Disable` does not: what was enabled can be disabled after that user has been removed.
    pub fn needs_index_owner(self) -> bool {
        matches!(self, Self::DryRun | Self::Refresh | Self::Enable)
    }
}

impl Target {
    /// A system-wide site directory, for a process that is the cache user already.
    pub fn system_wide(site: PathBuf) -> Self {
        Self { site, location: &location::SYSTEM_CACHE, run_as: RunAs::Caller }
    }

    /// Chooses location and user for a canonical path, given those of the system-wide site directories.
    pub fn of(site: PathBuf, system_wide: &[PathBuf], operation: Operation, system: &System) -> Result<Self> {
        let stat = rustix::fs::stat(&site).map_err(|error| Error::io("can't examine", &site, error))?;
        let caller = nix::unistd::geteuid().as_raw();
        let system_wide = system_wide.contains(&site);
        let (location, run_as) = match caller {
            0 if system_wide => (&location::SYSTEM_CACHE, RunAs::User(cache_user(operation, system)?)),
            0 => (&location::SITE, RunAs::User(system.user(stat.st_uid))),
            _ if system_wide && system.cache_user().is_ok_and(|user| user.uid == caller) => {
                (&location::SYSTEM_CACHE, RunAs::Caller)
            }
            _ if stat.st_uid == caller => (&location::SITE, RunAs::Caller),
            _ => (&location::USER_CACHE, RunAs::Caller),
        };
        Ok(Self { site, location, run_as })
    }
}

/// The user as which root works on a system-wide site directory. Without a cache user, reading is done as
/// nobody.
fn cache_user(operation: Operation, system: &System) -> Result<User> {
    match system.cache_user() {
        Err(Error::NoUser { .. }) if !operation.needs_index_owner() => Ok(User::NOBODY),
        user => user,
    }
}
