//! One registration that was found: where, and whether it counts.

use std::path::PathBuf;

use super::registration::Registration;
use crate::error::Failure;

/// Where a registration was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Packages,
    Administrator,
    /// Of the environment with this prefix.
    Environment(PathBuf),
}

/// Whether a registration counts, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Active,
    /// By this file of the same name.
    Overridden(PathBuf),
    /// It is a link to `/dev/null`, and registers nothing.
    Masked,
    /// The hooks of the environment are not enabled.
    Disabled {
        /// The command that enables them.
        hint: String,
    },
    Refused(Failure),
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Of the hook. It can be one that no hook may have, if it is refused.
    pub name: String,
    /// As the running system sees it.
    pub path: PathBuf,
    pub origin: Origin,
    pub state: State,
    /// `None` where the file was not read or is not valid.
    pub registration: Option<Registration>,
}
