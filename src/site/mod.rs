//! Site directories on disk.
//!
//! * [`SiteDir`] is an open site directory, [`Listing`] what is in it.
//! * [`discovery`] finds site directories, with [`pattern`] for those that the configuration names, and
//!   [`interpreter`] for those that an interpreter reports. [`nearby`] finds an environment that nobody named.
//!   [`owner_list`] lists directories of other users for root.
//! * [`distribution`] reads one distribution, with [`text`] for its files and [`presence`] for the names that
//!   can be imported. [`stamps`] takes its stamps alone.
//! * [`install_state`] says whether an installer has finished with a distribution.
//! * [`empty_directories`] finds the other directories on the path of an interpreter.

pub(crate) mod discovery;
pub(crate) mod distribution;
pub mod empty_directories;
pub(crate) mod install_state;
mod interpreter;
pub(crate) mod nearby;
mod owner_list;
mod pattern;
mod presence;
pub mod retries;
pub(crate) mod stamps;
mod text;

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use crate::checksum::hash;
use crate::error::{Error, Result};
use crate::freshness::Stamp;
use crate::limits::DIRECTORY_NAMES;
use crate::metadata::name;
use crate::sys::fs::Links;
use crate::sys::root::System;

/// An open directory that may hold distributions.
///
/// Its path is canonical: absolute and free of links. The location of the index follows from it.
#[derive(Debug)]
pub struct SiteDir {
    path: PathBuf,
    descriptor: OwnedFd,
    system: System,
}

impl SiteDir {
    /// Opens the site directory at a canonical path of the running system.
    pub fn open(path: PathBuf) -> Result<Self> {
        Self::open_in(path, &System::default())
    }

    /// Opens the site directory of `system` at a canonical, seen path.
    pub fn open_in(path: PathBuf, system: &System) -> Result<Self> {
        if is_egg(&path) {
            return Err(Error::site(
                &path,
                "an .egg has no index, since distributions are found in it by other rules",
            ));
        }
        let entry = system.entry(&path, Links::Follow);
        match entry.map_err(Errno::from).and_then(|entry| entry.open_dir()) {
            Ok(descriptor) => Ok(Self { path, descriptor, system: system.clone() }),
            Err(Errno::NOENT) => Err(Error::site(&path, "does not exist")),
            Err(Errno::NOTDIR) => Err(Error::site(&path, "is not a directory")),
            Err(error) => Err(Error::io("can't open", &path, error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::of(&rustix::fs::fstat(&self.descriptor)?))
    }

    /// Gives the directory the present time, by the clock of its file system.
    pub(crate) fn touch(&self) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access: omit, last_modification: now };
        Ok(rustix::fs::futimens(&self.descriptor, &times)?)
    }

    /// Whether the path still leads to this directory, unchanged since `stamp` was taken.
    pub(crate) fn still_is(&self, stamp: Stamp) -> io::Result<bool> {
        let entry = self.system.entry(&self.path, Links::Follow);
        match entry.map_err(Errno::from).and_then(|entry| entry.stat()) {
            Ok(stat) => Ok(Stamp::of(&stat) == stamp),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Lists the directory. Fails where it has more than `most` distributions, or more than an index holds of
    /// their names.
    pub(crate) fn list(&self, most: usize) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let mut length = 0;
        for entry in Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            let file_name = entry.file_name().to_bytes();
            if name::is_distribution(file_name) {
                length += file_name.len();
                if listing.distributions.len() == most || length > DIRECTORY_NAMES {
                    let most = listing.distributions.len();
                    return Err(io::Error::other(format!("there are more than {most} distributions in it")));
                }
                listing.distributions.push(file_name.into());
            } else {
                let start = listing.names.len();
                listing.names.extend_from_slice(file_name);
                listing.others.push((start..listing.names.len(), entry.file_type()));
            }
        }
        name::arrange(&mut listing.distributions);
        Ok(listing)
    }
}

/// What is in a site directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The file names of all distributions, in the order in which `importlib.metadata` finds them.
    pub distributions: Vec<Box<[u8]>>,
    /// The names of all other entries, one after the other.
    names: Vec<u8>,
    /// The range of each in `names`, and its type as the directory gives it.
    others: Vec<(Range<usize>, FileType)>,
    /// `others`, sorted by name. Filled at the first use, since most refreshes do not need it.
    sorted: OnceCell<Vec<(Range<usize>, FileType)>>,
}

/// The listing of a site directory, which is made on first use.
#[derive(Debug)]
pub(crate) struct LazyListing<'s> {
    site: &'s SiteDir,
    most: usize,
    listing: OnceCell<Listing>,
}

impl<'s> LazyListing<'s> {
    /// That of `site`, with [`SiteDir::list`]'s limit.
    pub fn new(site: &'s SiteDir, most: usize) -> Self {
        Self { site, most, listing: OnceCell::new() }
    }

    pub fn get(&self) -> io::Result<&Listing> {
        if let Some(listing) = self.listing.get() {
            return Ok(listing);
        }
        let listing = self.site.list(self.most)?;
        Ok(self.listing.get_or_init(|| listing))
    }
}

impl Listing {
    /// The hash of all names, sorted by their bytes, with a NUL between two.
    pub fn hash(&self) -> u64 {
        let others = self.others.iter().map(|(range, _)| &self.names[range.clone()]);
        let mut names: Vec<&[u8]> = self.distributions.iter().map(AsRef::as_ref).chain(others).collect();
        names.retain(|name| *name != b"." && *name != b"..");
        names.sort_unstable();
        hash(&names.join(&0))
    }

    /// The type of an entry that is no distribution, as the directory gives it; `None` where there is none
    /// of this name.
    pub fn kind(&self, name: &[u8]) -> Option<FileType> {
        let name_of = |(range, _): &(Range<usize>, FileType)| &self.names[range.clone()];
        let sorted = self.sorted.get_or_init(|| {
            let mut sorted = self.others.clone();
            sorted.sort_unstable_by(|one, other| name_of(one).cmp(name_of(other)));
            sorted
        });
        let found = sorted.binary_search_by(|other| name_of(other).cmp(name)).ok()?;
        Some(sorted[found].1)
    }
}

impl AsFd for SiteDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether a directory in `lib` with this name is an interpreter's: CPython's `python3.13`, PyPy's `pypy3.11`, and
/// Debian's `python3`, which all versions share.
pub(crate) fn is_of_interpreter(name: &[u8]) -> bool {
    name.starts_with(b"python3") || name.starts_with(b"pypy3")
}

/// Whether `importlib.metadata` treats a directory of this name as an egg.
pub(crate) fn is_egg(path: &Path) -> bool {
    let name = path.file_name().map_or(&[][..], OsStr::as_bytes);
    name.len() >= 4 && name[name.len() - 4..].eq_ignore_ascii_case(b".egg")
}
