//! Package managers, one file each: what they hand to a trigger, and their databases.
//!
//! What a trigger gets is a hint of what to read in any case, never the truth: lists can be missing,
//! incomplete, or name every file of the system. The databases are the witnesses of sealed indexes: each
//! transaction changes one of those of its package manager.

mod apk;
pub(crate) mod dpkg;
mod pacman;
pub mod rpm;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// For site directories, by their paths in the system, the distributions that must be read.
pub type Hints = BTreeMap<PathBuf, BTreeSet<Vec<u8>>>;

/// A file or directory that every transaction of a package manager changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Database {
    pub path: &'static str,
    /// The write-ahead log that SQLite keeps beside it, or not. Then a transaction may change only the log.
    pub log: Option<&'static str>,
}

impl Database {
    const fn at(path: &'static str) -> Self {
        Self { path, log: None }
    }
}

pub(crate) fn databases() -> impl Iterator<Item = &'static Database> {
    [apk::DATABASES, dpkg::DATABASES, pacman::DATABASES, rpm::DATABASES].into_iter().flatten()
}
