//! Which files of a site directory exist, found out without leaving it.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::Listing;
use super::text::reason;
use crate::metadata::file_list::{Entry, Presence};
use crate::sys::fs::{Links, find_beneath};

#[derive(Debug)]
pub struct Within<'s> {
    pub site: BorrowedFd<'s>,
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
        match find_beneath(self.site, path, Links::Follow) {
            Ok(()) => Ok(Some(true)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Some(false)),
            Err(error) => reason(error.into()).map(|_| None),
        }
    }

    fn has_links(&self, path: &str) -> io::Result<bool> {
        match find_beneath(self.site, path, Links::Refuse) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => reason(error.into()).map(|_| true),
        }
    }
}
