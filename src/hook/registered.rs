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
    /// This file of the same name counts instead.
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

/// A file in a directory of registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The name of the hook. Of a refused registration it can be an invalid name.
    pub name: String,
    /// As the running system sees it.
    pub path: PathBuf,
    pub origin: Origin,
    pub state: State,
    /// `None` where the file was not read or is not valid.
    pub registration: Option<Registration>,
}
