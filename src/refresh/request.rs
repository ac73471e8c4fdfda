//! What a refresh is asked to do.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::budget::Budget;
use crate::freshness::clock::next_tick;
use crate::hook::Registration;
use crate::hook::journal::Wanted;

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
    /// The installer that has ended, where the caller knows it. Another one may be at work.
    pub ended: Option<Ended>,
    /// Whether a trigger follows each transaction of a package manager. The location decides it.
    pub managed: bool,
    pub seal: Sealing,
    pub budget: Budget,
    /// Whether the report names the distributions, and does not only count them.
    pub names: bool,
    /// The registered hooks of the system-wide site directories.
    pub hooks: Arc<[Registration]>,
    /// What hooks are given.
    pub wanted: Wanted,
}

/// An installer that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// When it had ended, in ns. What is younger is the work of another one.
    at: i64,
    /// What it can write into `INSTALLER`: words of its command.
    names: BTreeSet<String>,
}

impl Ended {
    /// One that has ended just now, and was one of these programs.
    pub fn now(names: impl IntoIterator<Item = String>) -> Self {
        Self { at: next_tick(), names: names.into_iter().map(|name| program(&name)).collect() }
    }

    /// Whether a distribution with this newest ctime and this content of `INSTALLER` is its work.
    pub(super) fn has_made(&self, newest_ctime: i64, installer: &str) -> bool {
        // Poetry adds its version.
        let name = installer.split_ascii_whitespace().next().unwrap_or_default();
        newest_ctime < self.at && self.names.contains(&program(name))
    }
}

/// The name of a program without the version in it, as in `pip3.13`.
fn program(name: &str) -> String {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_ascii_lowercase()
}

/// Whether an index is made for copies of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    No,
    IfPossible,
    /// Sealed if possible; otherwise a warning says why not.
    Wanted,
    /// By the content of the files, because the times will be changed.
    ByContents,
}

impl Request {
    /// The request of a person: compares the metadata files as well.
    pub fn thorough() -> Self {
        Self {
            depth: Depth::Files,
            hints: BTreeSet::new(),
            finished: false,
            ended: None,
            managed: false,
            seal: Sealing::No,
            budget: Budget::default(),
            names: false,
            hooks: Arc::new([]),
            wanted: Wanted::Due,
        }
    }
}
