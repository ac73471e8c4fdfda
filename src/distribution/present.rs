//! Which files of a site directory exist, found out without leaving it.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::inferred::{Entry, Presence};
use super::text::unreadable;
use crate::site::Listing;

/// A site directory that is asked for files.
#[derive(Debug)]
pub struct Within<'s> {
    /// Where paths begin.
    pub site: BorrowedFd<'s>,
    /// What is in it.
    pub listing: &'s Listing,
}

impl Presence for Within<'_> {
    fn entry(&self, name: &str) -> Entry {
        match self.listing.kind(name.as_bytes()) {
            None => Entry::Absent,
            Some(FileType::Symlink | FileType::Unknown) => Entry::Unknown,
            Some(_) => Entry::Plain,
        }
    }

    fn exists(&self, path: &str) -> io::Result<Option<bool>> {
        // One call is enough where only the last part can be a link, and is none.
        if let Some((directory, file)) = path.split_once('/') {
            let plain = !file.contains('/') && file != "..";
            if plain && self.listing.kind(directory.as_bytes()) == Some(FileType::Directory) {
                match rustix::fs::statat(self.site, path, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
                        return Ok(Some(true));
                    }
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Some(false)),
                    _ => {}
                }
            }
        }
        match self.find(path, ResolveFlags::BENEATH) {
            Ok(()) => Ok(Some(true)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Some(false)),
            Err(error) => unreadable(error).map(|_| None),
        }
    }

    fn has_links(&self, path: &str) -> io::Result<bool> {
        match self.find(path, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => unreadable(error).map(|_| true),
        }
    }
}

impl Within<'_> {
    fn find(&self, path: &str, resolve: ResolveFlags) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(self.site, path, flags, Mode::empty(), resolve).map(drop)
    }
}
