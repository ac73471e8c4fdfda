//! Making an index stale that can't be removed.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};

use super::location::FILE_NAME;
use super::target::Target;
use crate::error::{Error, Result};
use crate::sys::root::System;

/// Gives the site directory the present time; its atime is set to what it is. No recorded stamp is
/// equal to the directory's then, and no sealed index has its mtime, so no reader believes the index
/// any more. The directory is not opened.
///
/// # Errors
/// When the caller may not do that, or the file system is read-only.
pub fn invalidate(site: &Path) -> Result<()> {
    let failed = |error: rustix::io::Errno| Error::io("can't make its index stale", site, error.into());
    let stat = rustix::fs::lstat(site).map_err(failed)?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    rustix::fs::utimensat(CWD, site, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
}

/// Makes sure that no reader believes an index of `target` that could not be dealt with otherwise.
///
/// # Errors
/// When that is not possible either.
pub fn invalidate_if_present(target: &Target, system: &System) -> Result<()> {
    if may_be_believed(target, system) {
        invalidate(&target.site)?;
        log::warn!(
            "{}: its index could not be refreshed, and is marked as out of date",
            target.site.display()
        );
    }
    Ok(())
}

/// Whether there is something where the index of `target` belongs, or may be again: a cache directory
/// that is not there now may be on a file system that is mounted later, with an old index in it.
fn may_be_believed(target: &Target, system: &System) -> bool {
    let Some((base, below)) = target.place.directory(&target.site, system) else { return false };
    match base.join(below).join(FILE_NAME).symlink_metadata() {
        Ok(meta) => meta.len() > 0,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound || base.symlink_metadata().is_err(),
    }
}
