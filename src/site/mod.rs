//! Site directories: opening and listing one ([`SiteDir`]), finding them ([`discovery`], [`pattern`]), reading
//! the distributions in it ([`distribution`], by means of [`text`] and [`presence`]), whether an installer has
//! finished with one ([`install_state`]), and the other directories on an interpreter's path
//! ([`empty_directories`]).

pub mod discovery;
pub mod distribution;
pub mod empty_directories;
pub mod install_state;
pub mod pattern;
pub mod presence;
pub mod text;

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use crate::encoding::checksum;
use crate::error::{Error, Result};
use crate::freshness::Stamp;
use crate::metadata::name;

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

    /// Gives the directory the present time, by the clock of its file system.
    ///
    /// # Errors
    /// When it is somebody else's, or the file system is read-only.
    pub fn touch(&self) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access: omit, last_modification: now };
        Ok(rustix::fs::futimens(&self.descriptor, &times)?)
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

    /// What is in the directory.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            let file_name = entry.file_name().to_bytes();
            if name::is_distribution(file_name) {
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
pub struct Listing {
    /// The file names of all distributions, in the order in which `importlib.metadata` finds them.
    pub distributions: Vec<Box<[u8]>>,
    /// The names of everything else, one behind the other.
    names: Vec<u8>,
    /// Where each lies in `names`, and what the directory says that it is.
    others: Vec<(Range<usize>, FileType)>,
    /// `others` by name. Made when it is first asked for, since mostly nobody does.
    sorted: OnceCell<Vec<(Range<usize>, FileType)>>,
}

impl Listing {
    /// The checksum of all names, sorted by their bytes, with a NUL between two.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        let others = self.others.iter().map(|(place, _)| &self.names[place.clone()]);
        let mut names: Vec<&[u8]> = self.distributions.iter().map(AsRef::as_ref).chain(others).collect();
        names.retain(|name| *name != b"." && *name != b"..");
        names.sort_unstable();
        checksum(&names.join(&0))
    }

    /// What an entry that is no distribution is, as far as the directory says; `None`: there is none
    /// of this name.
    #[must_use]
    pub fn kind(&self, name: &[u8]) -> Option<FileType> {
        let name_of = |(place, _): &(Range<usize>, FileType)| &self.names[place.clone()];
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

/// Whether `importlib.metadata` looks into a directory of this name as into an egg.
pub(crate) fn is_egg(path: &Path) -> bool {
    let name = path.file_name().map_or(&[][..], OsStr::as_bytes);
    name.len() >= 4 && name[name.len() - 4..].eq_ignore_ascii_case(b".egg")
}
