//! Site directories: opening and listing one ([`SiteDir`]), finding them ([`find`]), who writes the
//! index of which ([`owner`]), and making that stale ([`revoke`]).

pub mod find;
pub mod owner;
pub mod revoke;
pub mod select;

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::distribution::name;
use crate::error::{Error, Result};
use crate::freshness::Stamp;

/// An open directory that may hold distributions.
///
/// The path is canonical: absolute and free of links, so that it names the place of the index too.
#[derive(Debug)]
pub struct SiteDir {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl SiteDir {
    /// Opens the site directory at a canonical path.
    ///
    /// # Errors
    /// When it can't be opened, is no directory, or is an egg: what is in an egg is found by other
    /// rules, for which there is no index.
    pub fn open(path: PathBuf) -> Result<Self> {
        if is_egg(&path) {
            return Err(Error::site(
                &path,
                "an .egg has no index, since distributions are found in it by other rules",
            ));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self { path, descriptor }),
            Err(Errno::NOENT) => Err(Error::site(&path, "does not exist")),
            Err(Errno::NOTDIR) => Err(Error::site(&path, "is not a directory")),
            Err(error) => Err(Error::io("can't open", &path, error.into())),
        }
    }

    /// The canonical path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory's stamp at this moment.
    ///
    /// # Errors
    /// When the kernel can't answer.
    pub fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::of(&rustix::fs::fstat(&self.descriptor)?))
    }

    /// Whether the path still leads to this directory, unchanged since `stamp` was taken.
    ///
    /// # Errors
    /// When the kernel can't answer.
    pub fn still_is(&self, stamp: Stamp) -> io::Result<bool> {
        match rustix::fs::stat(&self.path) {
            Ok(stat) => Ok(Stamp::of(&stat) == stamp),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The file names of all distributions, in the order in which `importlib.metadata` finds them.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn list(&self) -> io::Result<Vec<Box<[u8]>>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            let file_name = entry.file_name().to_bytes();
            if name::is_distribution(file_name) {
                names.push(file_name.into());
            }
        }
        name::arrange(&mut names);
        Ok(names)
    }
}

impl AsFd for SiteDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether `importlib.metadata` looks into a directory of this name as into an egg.
fn is_egg(path: &Path) -> bool {
    let name = path.file_name().map_or(&[][..], OsStr::as_bytes);
    name.len() >= 4 && name[name.len() - 4..].eq_ignore_ascii_case(b".egg")
}
