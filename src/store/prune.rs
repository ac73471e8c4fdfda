//! Indexes in the system's cache that no trigger keeps right: of directories that the configuration
//! does not name any more, or that could not be found.
//!
//! Readers would believe them for as long as the directory's stamp stays, which a package that is
//! rebuilt does not move.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::location::{FILE_NAME, Place};
use crate::error::{Error, Result};
use crate::sys::root::System;

/// How deep directories may lie in each other. Paths of site directories are much shorter.
const DEEPEST: usize = 64;

/// Removes the indexes of all directories but `kept`, canonical paths. What is not ours stays.
///
/// # Errors
/// The first failure; the others are removed all the same.
pub fn prune(system: &System, kept: &[PathBuf]) -> Result<()> {
    let Some((base, _)) = Place::System.directory(system.root(), system) else { return Ok(()) };
    let below = |site: &PathBuf| Place::System.directory(site, system).map(|(_, below)| below);
    let kept: BTreeSet<PathBuf> = kept.iter().filter_map(below).collect();
    match open(CWD, &base) {
        Ok(directory) => Walk { base: &base, kept: &kept }.descend(&directory, &mut PathBuf::new(), 0),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(error) => Err(Error::io("can't open", &base, error.into())),
    }
}

struct Walk<'w> {
    base: &'w Path,
    kept: &'w BTreeSet<PathBuf>,
}

impl Walk<'_> {
    fn descend(&self, directory: &OwnedFd, below: &mut PathBuf, depth: usize) -> Result<()> {
        let failed = |doing, error: Errno| Error::io(doing, &self.base.join(&*below), error.into());
        let entries = Dir::read_from(directory).map_err(|error| failed("can't list", error))?;
        let mut result = Ok(());
        let mut directories = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("can't list", error))?;
            let name = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()));
            if entry.file_type() == FileType::Directory {
                if name != Path::new(".") && name != Path::new("..") {
                    directories.push(name.to_owned());
                }
            } else if name == Path::new(FILE_NAME) && !self.kept.contains(below) {
                let removed = rustix::fs::unlinkat(directory, name, AtFlags::empty());
                result = result.and(removed.map_err(|error| failed("can't remove the index in", error)));
            }
        }
        for name in directories.into_iter().filter(|_| depth < DEEPEST) {
            let opened = open(directory.as_fd(), &name);
            below.push(name);
            let done = match opened {
                Ok(directory) => self.descend(&directory, below, depth + 1),
                Err(error) => Err(Error::io("can't open", &self.base.join(&*below), error.into())),
            };
            result = result.and(done);
            below.pop();
        }
        result
    }
}

fn open(directory: std::os::fd::BorrowedFd<'_>, name: &Path) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}
