//! Who writes the index of a site directory, and where.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::privilege::RunAs;
use crate::store::location::Place;
use crate::sys::root::{System, User};

/// A site directory with the rule that applies to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its canonical path.
    pub site: PathBuf,
    /// Where its index is written.
    pub place: Place,
    /// As whom everything that concerns it is done.
    pub run_as: RunAs,
}

/// What a command does with an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look at it, and at the site directory.
    Read,
    /// Write it.
    Write,
}

impl Target {
    /// A system-wide site directory, for who has become the cache user already.
    #[must_use]
    pub fn system_wide(site: PathBuf) -> Self {
        Self { site, place: Place::System, run_as: RunAs::Caller }
    }

    /// Finds the rule for a canonical path, given those of the system-wide site directories.
    ///
    /// # Errors
    /// When the path can't be examined, or the user who would write its index does not exist.
    pub fn of(site: PathBuf, system_wide: &[PathBuf], access: Access, system: &System) -> Result<Self> {
        let stat =
            rustix::fs::stat(&site).map_err(|error| Error::io("can't examine", &site, error.into()))?;
        let caller = nix::unistd::geteuid().as_raw();
        let system_wide = system_wide.contains(&site);
        let (place, run_as) = match caller {
            0 if system_wide => (Place::System, RunAs::User(cache_user(access, system)?)),
            0 => (Place::Sidecar, RunAs::User(User { uid: stat.st_uid, gid: stat.st_gid })),
            _ if system_wide && system.cache_user().is_ok_and(|user| user.uid == caller) => {
                (Place::System, RunAs::Caller)
            }
            _ if stat.st_uid == caller => (Place::Sidecar, RunAs::Caller),
            _ => (Place::User, RunAs::Caller),
        };
        Ok(Self { site, place, run_as })
    }
}

/// As whom root works on a system-wide site directory. To look at it, anybody without rights will do.
fn cache_user(access: Access, system: &System) -> Result<User> {
    match system.cache_user() {
        Err(Error::NoUser { .. }) if access == Access::Read => Ok(User::NOBODY),
        user => user,
    }
}
