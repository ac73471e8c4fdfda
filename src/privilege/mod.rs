//! Giving up privileges.
//!
//! Everything that touches an index or untrusted metadata is done by a process that can't regain any privilege.
//! [`child::run`] forks it, `drop` changes its user for good, and [`sandbox`] confines it; then
//! the job begins. The parent, root, only waits for the answer and opens nothing. Where the answer is
//! that an index could be neither refreshed nor removed, the parent touches the site directory, so that
//! every reader sees that the index is stale.
//!
//! A registered hook is another program, so a [`supervisor`] runs it.
//!
//! All of this needs Linux. On other systems, root can't give its privileges up and does nothing, hooks do not run, and
//! a process of a caller has resource limits alone.

pub mod child;
#[cfg(target_os = "linux")]
mod descendants;
#[cfg_attr(not(target_os = "linux"), path = "drop_elsewhere.rs")]
mod drop;
pub mod program;
pub mod sandbox;
#[cfg_attr(not(target_os = "linux"), path = "supervisor_elsewhere.rs")]
pub mod supervisor;

use crate::error::{Error, Result};
use crate::sys::account::User;
use crate::sys::caller;

/// The user that does a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunAs {
    /// The caller, who has no privileges to give up.
    Caller,
    /// This user, without any capability. Where it is root, only ownership of files is left.
    User(User),
}

impl RunAs {
    /// Fails if this process is root's and can't become that user.
    pub fn check(self) -> Result<()> {
        match self {
            Self::User(user) if user.uid != caller::uid() && caller::is_bound() => {
                Err(Error::Bound { uid: user.uid })
            }
            _ => Ok(()),
        }
    }
}

/// Names the step of giving up privileges that failed.
fn step<T>(step: &'static str, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|source| Error::Privileges { step, source })
}
