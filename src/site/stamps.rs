//! Taking the stamps of a distribution without reading it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;

use super::SiteDir;
use super::text::{lstat, stat};
use crate::freshness::Stamp;
use crate::metadata::file_list::FileList;
use crate::metadata::{Distribution, Stamps, name};
use crate::sys::fs::Links;

pub(super) const METADATA: &str = "METADATA";
pub(super) const ENTRY_POINTS: &str = "entry_points.txt";
pub(super) const TOP_LEVEL: &str = "top_level.txt";

/// `stat` of a distribution that was found in the listing of `site`; `None` when it is gone.
///
/// A site directory that may be listed, but not searched, is an error: what is in it exists all the same.
pub fn stat_listed(site: BorrowedFd<'_>, file_name: &[u8], links: Links) -> io::Result<Option<Stat>> {
    if links == Links::Follow {
        return stat(site, file_name, links);
    }
    match rustix::fs::statat(site, file_name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The present stamps of a distribution whose own stamp is the `known` one.
pub fn stamps_now(site: &SiteDir, known: &Distribution<'_>) -> io::Result<Stamps> {
    let site = site.as_fd();
    let mut stamps = stamps(site, &known.file_name, known.stamps.itself)?;
    // A list that appears changes the directory's own stamp, and one that was not needed matters only
    // after a change of `top_level.txt`. So it is compared only where it was recorded.
    if known.stamps.files.is_some() {
        for list in FileList::ALL {
            stamps.files = stamp(site, &known.file_name, list.file_name())?;
            if stamps.files.is_some() {
                break;
            }
        }
    }
    Ok(stamps)
}

/// The stamps of a distribution without that of its list of files.
pub(super) fn stamps(site: BorrowedFd<'_>, file_name: &[u8], itself: Stamp) -> io::Result<Stamps> {
    Ok(Stamps {
        itself,
        metadata: stamp(site, file_name, name::metadata_file(file_name))?,
        entry_points: stamp(site, file_name, ENTRY_POINTS)?,
        top_level: stamp(site, file_name, TOP_LEVEL)?,
        files: None,
    })
}

pub(super) fn stamp(site: BorrowedFd<'_>, file_name: &[u8], name: &str) -> io::Result<Option<Stamp>> {
    Ok(lstat(site, &path(file_name, name))?.as_ref().map(Stamp::of))
}

/// The path of a file in a distribution, seen from the site directory.
pub(super) fn path(file_name: &[u8], name: &str) -> Vec<u8> {
    [file_name, b"/", name.as_bytes()].concat()
}
