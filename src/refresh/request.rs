//! What a refresh is asked to do.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::budget::Budget;
use crate::hook::Registration;

/// How closely the old index is compared with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The stamps of the distributions themselves: enough for changes made by package managers.
    Directories,
    /// Those of the metadata files too: finds files edited in place.
    Files,
    /// Trust nothing, read everything.
    Everything,
}

/// What to do, and what the caller knows.
#[derive(Debug, Clone)]
pub struct Request {
    pub depth: Depth,
    /// File names of distributions to read in any case.
    pub hints: BTreeSet<Vec<u8>>,
    /// Whether the installer that changed the directory is known to have finished.
    pub finished: bool,
    /// Whether a trigger follows each transaction of a package manager. The location decides it.
    pub managed: bool,
    pub seal: Sealing,
    pub budget: Budget,
    /// Whether the report names the distributions, and does not only count them.
    pub names: bool,
    /// The registered hooks of the system-wide site directories.
    pub hooks: Arc<[Registration]>,
    /// Whether every hook is given everything that is there as added, instead of what is due to it.
    pub everything: bool,
}

/// Whether an index is made for copies of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    No,
    IfPossible,
    /// It should be: a warning says why if that is not possible.
    Wanted,
}

impl Request {
    /// Compares the metadata files as well, as a person expects it.
    pub fn thorough() -> Self {
        Self {
            depth: Depth::Files,
            hints: BTreeSet::new(),
            finished: false,
            managed: false,
            seal: Sealing::No,
            budget: Budget::default(),
            names: false,
            hooks: Arc::new([]),
            everything: false,
        }
    }
}
