//! What the registered hooks of a site directory have still to be given.
//!
//! None of it stops a refresh: the index comes first. What can't be written to the journal is still given to the
//! hooks this time.

use std::path::Path;

use crate::change::{Change, between};
use crate::hook::journal::{Due, Journal, Wanted};
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
    pub fn due(&self, wanted: Wanted, new: &Index<'_>, unrecorded: &[Change]) -> Vec<Due> {
        if self.hooks.is_empty() {
            return Vec::new();
        }
        let mut journal = Journal::read(self.directory, &self.hooks).unwrap_or_else(|error| {
            message::error(&error);
            Journal::default()
        });
        journal.record(unrecorded, &self.hooks);
        let mut due = due(journal, &self.hooks, wanted, self.site, new);
        due.iter_mut().for_each(|due| due.is_recorded = unrecorded.is_empty());
        due
    }
}

/// What each hook is to be given by its journal. `new` has what is there.
pub(super) fn due(
    mut journal: Journal,
    hooks: &[Registration],
    wanted: Wanted,
    site: &Path,
    new: &Index<'_>,
) -> Vec<Due> {
    if wanted == Wanted::Everything {
        journal.overflow(hooks);
    }
    journal.due(hooks, wanted, || between(site, None, new))
}
