//! The pending changes of the registered hooks of a site directory.
//!
//! No failure here stops a refresh: the index comes first. Changes that can't be written to the journal are still given
//! to the hooks this time.

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

/// The registered hooks of a site directory. There are none in the tree of another system, nor for an index in a
/// user's own cache.
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
    /// Records the changes for the hooks, before the new index replaces the old one. Returns the changes if they could
    /// not be recorded.
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

    /// What each hook is to be given: its changes in the journal, and those that could not be recorded.
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

/// What each hook is to be given according to the journal. `new` is the index of what is there now.
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
