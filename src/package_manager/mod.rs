//! What package managers hand over, one file each. It is a hint of what to read for certain, never
//! the truth: lists can be missing, incomplete, or the whole database.

pub mod dpkg;
pub mod rpm;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For site directories, by their paths in the system, the distributions that must be read.
pub type Hints = BTreeMap<PathBuf, BTreeSet<Vec<u8>>>;

/// The hints for one site directory.
#[must_use]
pub fn for_site(hints: &Hints, site: &Path) -> BTreeSet<Vec<u8>> {
    hints.get(site).cloned().unwrap_or_default()
}
