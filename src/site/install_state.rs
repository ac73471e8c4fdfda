//! Whether nothing of a distribution is missing that its installer may still bring.
//!
//! An installer creates `X.dist-info` first and fills it later, and nothing says when it is done. What
//! pip, uv and those that use pypa/installer write when all other files are there is `INSTALLER` and
//! `RECORD`. An `INSTALLER` that came with a package or a copy, which its times show, says nothing.

use std::os::fd::BorrowedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::distribution::path;
use crate::freshness::Stamp;
use crate::freshness::clock::SETTLE_AFTER;
use crate::metadata::Distribution;

/// Whether all is there. Package managers leave that open, but they say when they have finished.
#[must_use]
pub fn is_complete(site: BorrowedFd<'_>, distribution: &Distribution<'_>) -> bool {
    let named = distribution.identity.as_ref().is_none_or(|identity| identity.name.is_some());
    named && has_last_files(site, &distribution.file_name)
}

/// Whether its metadata has the times of a package or a copy, and not those of being written.
#[must_use]
pub fn is_packaged(distribution: &Distribution<'_>) -> bool {
    !was_written_here(distribution.stamps.metadata.unwrap_or(distribution.stamps.itself))
}

fn was_written_here(stamp: Stamp) -> bool {
    u128::from(stamp.ctime.abs_diff(stamp.mtime)) < SETTLE_AFTER.as_nanos()
}

fn has_last_files(site: BorrowedFd<'_>, file_name: &[u8]) -> bool {
    let find = |name| rustix::fs::statat(site, path(file_name, name), AtFlags::SYMLINK_NOFOLLOW);
    let has_text = |name| find(name).is_ok_and(|stat| stat.st_size > 0);
    match find("INSTALLER") {
        Ok(installer) => was_written_here(Stamp::of(&installer)) && has_text("RECORD"),
        // A distribution that is a single file.
        Err(Errno::NOTDIR) => true,
        Err(_) => has_text("installed-files.txt"),
    }
}
