//! Making an index stale: one that can't be removed, or of a directory that is about to change.

use std::path::Path;

use rustix::io::Errno;

use super::target::Target;
use crate::error::{Error, Result};
use crate::site::SiteDir;
use crate::sys::root::System;

/// Makes the index of `target` stale if there is one, and returns whether there may be one.
///
/// The site directory gets the present mtime. No recorded stamp equals the directory's then, and no sealed index
/// has its mtime, so no reader trusts the index any more. The directory is not opened.
pub fn make_stale(target: &Target, system: &System) -> Result<bool> {
    let present = may_be_present(target, system);
    if present {
        system.touch(&target.site, target.place.as_ref())?;
    }
    Ok(present)
}

/// The same for an index that could not be refreshed or removed, with a warning.
pub fn invalidate_if_present(target: &Target, system: &System) -> Result<()> {
    if make_stale(target, system)? {
        warn(target);
    }
    Ok(())
}

/// The same by the descriptor of the site directory, for a confined process, which can't change a time by a path.
pub fn invalidate_open(site: Option<&SiteDir>, target: &Target, system: &System) -> Result<()> {
    if may_be_present(target, system) {
        let failed = |error| Error::io("can't make its index stale", &target.site, error);
        site.ok_or_else(|| std::io::ErrorKind::NotFound.into()).and_then(SiteDir::touch).map_err(failed)?;
        warn(target);
    }
    Ok(())
}

fn warn(target: &Target) {
    log::warn!("{}: its index could not be refreshed, and was made stale", target.site.display());
}

/// Whether `target` has an index, or may have one later: a cache directory that is missing now may be on a
/// file system that is mounted later, with an old index in it.
fn may_be_present(target: &Target, system: &System) -> bool {
    // Nothing can make such an index wrong.
    if target.location.is_in_image() {
        return false;
    }
    let Some(index) = target.location.index(&target.site, system) else { return false };
    let stat = |path: &Path| {
        let entry = target.location.entry(path, system);
        entry.map_err(Errno::from).and_then(|entry| entry.stat())
    };
    match stat(&index) {
        Ok(stat) => stat.st_size > 0,
        Err(Errno::NOENT) => {
            let base = target.location.directory(&target.site, system).map(|(base, _)| base);
            base.is_some_and(|base| stat(&base).is_err())
        }
        Err(_) => true,
    }
}
