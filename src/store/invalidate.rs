//! Making an index stale that can't be removed.

use super::target::Target;
use crate::error::{Error, Result};
use crate::site::SiteDir;
use crate::sys::resolve;
use crate::sys::root::System;

/// Makes the index of `target` stale if there is one. For an index that could not be refreshed or removed.
///
/// The site directory gets the present mtime. No recorded stamp equals the directory's then, and no sealed index
/// has its mtime, so no reader trusts the index any more. The directory is not opened.
pub fn invalidate_if_present(target: &Target, system: &System) -> Result<()> {
    if may_be_present(target, system) {
        resolve::touch(&target.site, target.place.as_ref())?;
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
