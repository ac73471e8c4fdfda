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
use std::path::{Path, PathBuf};

/// For site directories, by their paths in the system, the distributions that must be read.
pub type Hints = BTreeMap<PathBuf, BTreeSet<Vec<u8>>>;

/// The hints for one site directory.
#[must_use]
pub(crate) fn for_site(hints: &Hints, site: &Path) -> BTreeSet<Vec<u8>> {
    hints.get(site).cloned().unwrap_or_default()
}

/// A file or directory that every transaction of a package manager changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Database {
    /// Its path in the system.
    pub path: &'static str,
    /// The write-ahead log that SQLite keeps beside it, or not. Then a transaction may change only the log.
    pub log: Option<&'static str>,
}

impl Database {
    /// A database in one piece.
    const fn at(path: &'static str) -> Self {
        Self { path, log: None }
    }
}

/// The databases of all package managers.
pub(crate) fn databases() -> impl Iterator<Item = &'static Database> {
    [apk::DATABASES, dpkg::DATABASES, pacman::DATABASES, rpm::DATABASES].into_iter().flatten()
}
