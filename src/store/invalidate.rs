//! Making an index stale that can't be removed.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};

use super::target::Target;
use crate::error::{Error, Result};
use crate::sys::root::System;

/// Sets the mtime of the site directory to the present; its atime stays. No recorded stamp equals the
/// directory's then, and no sealed index has its mtime, so no reader trusts the index any more. The
/// directory is not opened.
pub fn invalidate(site: &Path) -> Result<()> {
    let failed = |error: rustix::io::Errno| Error::io("can't make its index stale", site, error);
    let stat = rustix::fs::lstat(site).map_err(failed)?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    rustix::fs::utimensat(CWD, site, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
}

/// Makes the index of `target` stale if there is one. For an index that could not be refreshed or removed.
pub fn invalidate_if_present(target: &Target, system: &System) -> Result<()> {
    if may_be_present(target, system) {
        invalidate(&target.site)?;
        log::warn!("{}: its index could not be refreshed, and was made stale", target.site.display());
    }
    Ok(())
}

/// Whether `target` has an index, or may have one later: a cache directory that is missing now may be on a
/// file system that is mounted later, with an old index in it.
fn may_be_present(target: &Target, system: &System) -> bool {
    let Some(index) = target.location.index(&target.site, system) else { return false };
    match index.symlink_metadata() {
        Ok(meta) => meta.len() > 0,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let base = target.location.directory(&target.site, system).map(|(base, _)| base);
            base.is_some_and(|base| base.symlink_metadata().is_err())
        }
        Err(_) => true,
    }
}
