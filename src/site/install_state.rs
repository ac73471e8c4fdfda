//! Whether an installer has finished with a distribution.
//!
//! An installer creates `X.dist-info` first and fills it later, and gives no sign when it has finished. But
//! pip, uv and users of pypa/installer write `INSTALLER` and `RECORD` last. That proves nothing where
//! `INSTALLER` came with a package or a copy, which its times show.

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::SiteDir;
use super::stamps::path;
use crate::freshness::Stamp;
use crate::freshness::clock::SETTLE_AFTER;
use crate::metadata::Distribution;

/// Whether the files that installers write last are there. Package managers write them in any order, but
/// run a trigger when they have finished.
pub fn is_complete(site: &SiteDir, distribution: &Distribution<'_>) -> bool {
    let named = distribution.identity.as_ref().is_none_or(|identity| identity.name.is_some());
    named && has_last_files(site, &distribution.file_name)
}

/// Whether the metadata comes from a package or a copy, as its times show, and was not written in place.
pub fn is_packaged(distribution: &Distribution<'_>) -> bool {
    !was_written_here(distribution.stamps.metadata.unwrap_or(distribution.stamps.itself))
}

/// An extracted or copied file has an older mtime: only its ctime is the present.
fn was_written_here(stamp: Stamp) -> bool {
    u128::from(stamp.ctime.abs_diff(stamp.mtime)) < SETTLE_AFTER.as_nanos()
}

fn has_last_files(site: &SiteDir, file_name: &[u8]) -> bool {
    let find = |name| rustix::fs::statat(site, path(file_name, name), AtFlags::SYMLINK_NOFOLLOW);
    let has_text = |name| find(name).is_ok_and(|stat| stat.st_size > 0);
    match find("INSTALLER") {
        Ok(installer) => was_written_here(Stamp::of(&installer)) && has_text("RECORD"),
        // A distribution that is a single file.
        Err(Errno::NOTDIR) => true,
        Err(_) => has_text("installed-files.txt"),
    }
}
