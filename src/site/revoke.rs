//! Making an index stale that can't be removed.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};

use crate::error::{Error, Result};

/// Gives the site directory the present time; its atime is set to what it is. No recorded stamp is
/// equal to the directory's then, and no sealed index has its mtime, so no reader believes the index
/// any more. The directory is not opened.
///
/// # Errors
/// When the caller may not do that, or the file system is read-only.
pub fn revoke(site: &Path) -> Result<()> {
    let failed = |error: rustix::io::Errno| Error::io("can't make its index stale", site, error.into());
    let stat = rustix::fs::lstat(site).map_err(failed)?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    rustix::fs::utimensat(CWD, site, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
}
