//! What the registered hooks of a site directory have still to be given.
//!
//! None of it stops a refresh: the index comes first. What can't be written to the journal is still given to the
//! hooks this time.

use std::path::Path;

use crate::change::{Change, between};
use crate::hook::journal::{Due, Journal};
use crate::hook::{Environment, Registration, registry};
use crate::index::Index;
use crate::store::index_dir::IndexDir;
use crate::store::location::{SITE, SYSTEM_CACHE};
use crate::store::target::Target;
use crate::sys::message;
use crate::sys::root::System;

use super::request::Request;

/// The registered hooks of a site directory. None run in the tree of another system, nor where the index is in the
/// cache of another user.
pub(super) fn hooks(target: &Target, system: &System, request: &Request) -> Vec<Registration> {
    if system.is_foreign() {
        return Vec::new();
    }
    if *target.location == SYSTEM_CACHE {
        return request.hooks.to_vec();
    }
    let owner = target.place.as_ref().map(|place| place.owner).filter(|_| *target.location == SITE);
    let environment = owner.and_then(|owner| Environment::of(&target.site, owner));
    environment.map_or_else(Vec::new, |environment| {
        let registry = registry(system, Some(&environment));
        registry.report();
        registry.into_active()
    })
}

/// The journal of the hooks of one site directory.
pub(super) struct Delivery<'d> {
    pub site: &'d Path,
    pub directory: &'d IndexDir,
    pub hooks: Vec<Registration>,
}

impl Delivery<'_> {
    /// Records what hooks have to be given, before the new index replaces the old one. Returns what could not be
    /// recorded.
    pub fn record(&self, old: Option<&Index<'_>>, new: &Index<'_>) -> Vec<Change> {
        if self.hooks.is_empty() {
            return Vec::new();
        }
        let changes = between(self.site, old, new);
        let recorded = Journal::read(self.directory, &self.hooks).and_then(|mut journal| {
            match journal.record(&changes, &self.hooks) {
                true => journal.write(self.directory),
                false => Ok(()),
            }
        });
        recorded.map_or_else(
            |error| {
                message::error(&error);
                changes
            },
            |()| Vec::new(),
        )
    }

    /// What the journal has for each hook, and what could not be recorded.
    pub fn due(&self, everything_is_due: bool, new: &Index<'_>, unrecorded: &[Change]) -> Vec<Due> {
        if self.hooks.is_empty() {
            return Vec::new();
        }
        let mut journal = Journal::read(self.directory, &self.hooks).unwrap_or_else(|error| {
            message::error(&error);
            Journal::default()
        });
        journal.record(unrecorded, &self.hooks);
        match everything_is_due {
            true => everything(journal, &self.hooks, self.site, new),
            false => journal.due(&self.hooks, || between(self.site, None, new)),
        }
    }
}

/// For each hook, all that is there, as added.
pub(super) fn everything(
    mut journal: Journal,
    hooks: &[Registration],
    site: &Path,
    new: &Index<'_>,
) -> Vec<Due> {
    journal.overflow(hooks);
    journal.due(hooks, || between(site, None, new))
}
