//! Package managers, one file each: what they pass to a trigger, and their databases.
//!
//! What a trigger gets is a hint of what to read in any case, never the truth: lists can be missing,
//! incomplete, or name every file of the system. The databases are the witnesses of sealed indexes: each
//! transaction changes one of those of its package manager.

mod apk;
mod dpkg;
pub mod list;
mod pacman;
mod rpm;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

/// All that have a trigger.
pub static ALL: [PackageManager; 4] = [rpm::RPM, dpkg::DPKG, pacman::PACMAN, apk::APK];

/// A package manager that calls a trigger.
#[derive(Debug)]
pub struct PackageManager {
    /// The first argument of its trigger.
    pub name: &'static str,
    /// What its trigger gets, for people.
    pub help: &'static str,
    /// Whether it writes a [`list`] of changed files to standard input.
    pub(crate) writes_list: bool,
    /// Finds the system whose packages changed, if it is not the running one.
    root: fn() -> Option<PathBuf>,
    databases: &'static [Database],
}

impl PackageManager {
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|manager| manager.name == name)
    }

    /// The system whose packages changed, if it is not the running one.
    pub(crate) fn root(&self) -> Option<PathBuf> {
        (self.root)()
    }

    /// The same from the arguments of a trigger that are wrong. If they name no package manager, any of them may have
    /// called.
    pub(crate) fn root_by(arguments: &[OsString]) -> Option<PathBuf> {
        match arguments.first().and_then(|name| Self::named(name.to_str()?)) {
            Some(manager) => manager.root(),
            None => ALL.iter().find_map(Self::root),
        }
    }
}

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
    ALL.iter().flat_map(|manager| manager.databases)
}
