//! Comparing the index that readers use with the disk, without writing anything.

use super::outcome::Outcome;
use super::reconcile::reconcile;
use super::request::Request;
use super::seal::{SealError, prove};
use crate::error::Result;
use crate::index::{Index, Invalid, parse};
use crate::site::SiteDir;
use crate::site::retries::Retries;
use crate::store::location::{self, Found};
use crate::sys::root::System;

/// The index that a reader finds.
#[derive(Debug)]
pub struct Examined<'a> {
    pub found: &'a Found,
    /// What is in it, or why it is not usable.
    pub index: std::result::Result<&'a Index<'a>, Invalid>,
}

/// Compares the index that readers use with the disk. `then` gets that index, if there is one, and what a
/// refresh would make of it.
pub fn examine<T>(
    site: &SiteDir,
    system: &System,
    request: &Request,
    then: impl FnOnce(Option<Examined<'_>>, Outcome<'_>) -> T,
) -> Result<T> {
    let found = location::find(site, system, |path, why| log::warn!("{}: skipped: {why}", path.display()));
    let index = found.as_ref().map(|found| (found, parse(&found.bytes)));
    let old = index.as_ref().and_then(|(_, index)| index.as_ref().ok());
    let outcome = reconcile(site, old, request, &Retries::default())?;
    let examined =
        index.as_ref().map(|(found, index)| Examined { found, index: index.as_ref().map_err(|why| *why) });
    Ok(then(examined, outcome))
}

impl Examined<'_> {
    /// Whether the seal proves the index in this copy of its tree. `None` where it is not sealed.
    pub fn seal(&self, outcome: &Outcome<'_>, system: &System) -> Option<std::result::Result<(), SealError>> {
        let index = self.index.ok()?;
        let seal = index.seal.as_ref()?;
        Some(prove(index, seal, self.found.modified, outcome.index.site, outcome.names, system))
    }
}
