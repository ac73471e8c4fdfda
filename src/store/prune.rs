//! Removing indexes from the system's cache that no trigger updates: of site directories that the
//! configuration does not name any more, or that were not found.
//!
//! Readers would trust them as long as the directory's stamp stays the same. A package that is rebuilt does
//! not change that stamp.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::location::{FILE_NAME, SYSTEM_CACHE};
use crate::error::{Error, Result};
use crate::sys::fs::{CWD, Links, open_dir};
use crate::sys::root::System;

/// The deepest nesting of directories that is searched. Paths of site directories are much shorter, and
/// each level holds a descriptor.
const MAX_DEPTH: usize = 64;

/// Removes the indexes of all site directories but `kept`, canonical paths. Other files stay.
///
/// After a failure it continues, and returns the first one.
pub fn prune(system: &System, kept: &[PathBuf]) -> Result<()> {
    let Some(top) = SYSTEM_CACHE.top(system) else { return Ok(()) };
    let below = |site: &PathBuf| SYSTEM_CACHE.directory(site, system).map(|(_, below)| below);
    let kept: BTreeSet<PathBuf> = kept.iter().filter_map(below).collect();
    match open_dir(CWD, &top, Links::Refuse) {
        Ok(directory) => Walk { top: &top, kept: &kept }.descend(&directory, &mut PathBuf::new(), 0),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(error) => Err(Error::io("can't open", &top, error)),
    }
}

struct Walk<'w> {
    top: &'w Path,
    /// Paths below `top` of the directories whose index is kept.
    kept: &'w BTreeSet<PathBuf>,
}

impl Walk<'_> {
    fn descend(&self, directory: &OwnedFd, below: &mut PathBuf, depth: usize) -> Result<()> {
        let failed = |doing, error: Errno| Error::io(doing, &self.top.join(&*below), error);
        let entries = Dir::read_from(directory).map_err(|error| failed("can't list", error))?;
        let mut result = Ok(());
        let mut directories = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("can't list", error))?;
            let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
            if entry.file_type() == FileType::Directory {
                if name != Path::new(".") && name != Path::new("..") {
                    directories.push(name.to_owned());
                }
            } else if name == Path::new(FILE_NAME) && !self.kept.contains(below) {
                let removed = rustix::fs::unlinkat(directory, name, AtFlags::empty());
                result = result.and(removed.map_err(|error| failed("can't remove the index in", error)));
            }
        }
        for name in directories.into_iter().filter(|_| depth < MAX_DEPTH) {
            let opened = open_dir(directory, &name, Links::Refuse);
            below.push(name);
            let done = match opened {
                Ok(directory) => self.descend(&directory, below, depth + 1),
                Err(error) => Err(Error::io("can't open", &self.top.join(&*below), error)),
            };
            result = result.and(done);
            below.pop();
        }
        result
    }
}
