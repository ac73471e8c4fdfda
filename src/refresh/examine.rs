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
///
/// Readers use the first index that proves the directory, or is sealed by content; otherwise the first of all.
pub fn examine<T>(
    site: &SiteDir,
    system: &System,
    request: &Request,
    then: impl FnOnce(Option<Examined<'_>>, Outcome<'_>) -> T,
) -> Result<T> {
    let found = location::find(site, system);
    let found = found.iter().map(|found| found.as_ref().map(|found| (found, parse(&found.bytes))));
    let found: Vec<_> = found.collect();
    let mut used = None;
    for found in &found {
        let (found, index) = match found {
            Ok(found) => found,
            Err(skipped) => {
                log::warn!("{skipped}");
                continue;
            }
        };
        let outcome = reconcile(site, index.as_ref().ok(), request, &Retries::default())?;
        let examined = Examined { found, index: index.as_ref().map_err(|why| *why) };
        let is_proven = examined.is_proven(&outcome, system);
        if is_proven || used.is_none() {
            used = Some((examined, outcome));
        }
        if is_proven {
            break;
        }
    }
    match used {
        Some((examined, outcome)) => Ok(then(Some(examined), outcome)),
        None => Ok(then(None, reconcile(site, None, request, &Retries::default())?)),
    }
}

impl Examined<'_> {
    /// Whether readers look no further: it proves the directory, or each of its rows by content.
    fn is_proven(&self, outcome: &Outcome<'_>, system: &System) -> bool {
        let Ok(index) = self.index else { return false };
        let is_proven =
            self.seal(outcome, system).map_or(index.site == outcome.index.site, |seal| seal.is_ok());
        index.settled && is_proven
    }

    /// Whether the seal proves the index in this copy of its tree. `None` where it is not sealed.
    pub fn seal(&self, outcome: &Outcome<'_>, system: &System) -> Option<std::result::Result<(), SealError>> {
        let index = self.index.ok()?;
        let seal = index.seal.as_ref()?;
        Some(prove(index, seal, self.found.modified, outcome.index.site, outcome.names, system))
    }
}
