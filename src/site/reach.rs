//! What a process must reach that works on a site directory. It is settled before anything is read, by
//! places alone.

use super::owner::Target;
use super::{interpreter, is_egg};
use crate::index::location::{PLACES, Place, SIDECAR};
use crate::privilege::Identity;
use crate::privilege::sandbox::{Needs, Reach};
use crate::system::System;

/// What is to be done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Look at it and at its index.
    Look,
    /// Write its index.
    Refresh,
    /// Write files into it with which interpreters start.
    Enable,
}

/// Adds what must be reached of `target`.
fn add(needs: &mut Needs, target: &Target, purpose: Purpose, system: &System) {
    let site = &target.site;
    needs.add(site.clone(), Reach::Read);
    match purpose {
        Purpose::Look => {
            // The first is below the site directory.
            for place in PLACES.into_iter().filter(|place| *place != Place::Sidecar) {
                if let Some((base, below)) = place.directory(site, system) {
                    needs.add(base.join(below), Reach::Read);
                }
            }
        }
        Purpose::Refresh => {
            if target.place == Place::Sidecar && !is_egg(site) {
                let sidecar = site.join(SIDECAR);
                needs.made.push(sidecar.clone());
                needs.add(sidecar, Reach::Index);
            } else if let Some((base, _)) = target.place.directory(site, system) {
                needs.add(base, Reach::Index);
            }
            if !system.is_foreign() {
                interpreter::reach(site, needs);
            }
        }
        Purpose::Enable => needs.add(site.clone(), Reach::Change),
    }
}

/// The same for all of `targets` that are worked on as `identity`.
#[must_use]
pub fn of<'t>(
    targets: impl IntoIterator<Item = &'t Target>,
    identity: Identity,
    purpose: Purpose,
    system: &System,
) -> Needs {
    let mut needs = Needs::default();
    if identity != Identity::Caller {
        targets.into_iter().for_each(|target| add(&mut needs, target, purpose, system));
    }
    needs
}
