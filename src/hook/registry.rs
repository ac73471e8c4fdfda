//! Finds registrations, and decides which of them count.
//!
//! Those of the system are for its system-wide site directories: packages register hooks in one directory,
//! administrators in another, where a file of the same name overrides that of a package and a link to `/dev/null`
//! masks it. Those of an environment are for that environment alone, and count only after its owner has enabled
//! them (`epcache enable --hooks`).
//!
//! A registration makes others run a program. So its file, the program and every directory above them must belong
//! to root, or in an environment to its owner, and nobody else may write there (`Trust::Only`). The Python module of a
//! hook is not judged by itself: it is found in the site directory, which has this owner.

use std::path::PathBuf;

use super::environment::Environment;
use super::layer::Layer;
use super::registered::{Registered, State};
use super::registration::Registration;
use crate::error::{Error, Failure};
use crate::sys::message;
use crate::sys::root::System;

/// All that is registered.
#[derive(Debug, Default)]
pub struct Registry {
    /// Sorted by name. Of several with one name, the last one counts.
    pub registered: Vec<Registered>,
    /// Why no registration in a directory counts.
    pub errors: Vec<Error>,
    /// The directories that were looked in, whether they exist or not.
    pub directories: Vec<PathBuf>,
}

impl Registry {
    /// Reports registrations and directories that are refused.
    pub fn report(&self) {
        self.errors.iter().for_each(message::error);
        for registered in &self.registered {
            if let State::Refused(Failure { message, hint }) = &registered.state {
                let message = format!("{}: not registered: {message}", registered.path.display());
                let hint = hint.clone().or_else(|| Some("epcache hooks list".to_owned()));
                message::error(&Error::Reported(Failure { message, hint }));
            }
        }
    }

    /// The registrations that count, in the order in which hooks run.
    pub fn into_active(self) -> Vec<Registration> {
        let active = self.registered.into_iter().filter(|registered| registered.state == State::Active);
        let mut active: Vec<_> = active.filter_map(|registered| registered.registration).collect();
        active.sort_by(|one, other| one.rank().cmp(&other.rank()));
        active
    }
}

/// What is registered for the system-wide site directories of `system`, or for an environment in it.
///
/// Root must not call it for an environment of another user: that user does, in a confined process.
pub fn registry(system: &System, environment: Option<&Environment>) -> Registry {
    let mut registry = Registry::default();
    let layers = match environment {
        None => Layer::of_system(system).into(),
        Some(environment) => {
            vec![Layer::of_environment(environment, environment.state(system), system)]
        }
    };
    for mut layer in layers {
        registry.directories.push(layer.directory.clone());
        let found = layer.find().unwrap_or_else(|error| {
            registry.errors.push(error);
            Vec::new()
        });
        for registered in &mut registry.registered {
            if let Some(by) = found.iter().find(|other| other.name == registered.name) {
                registered.state = State::Overridden(by.path.clone());
            }
        }
        registry.registered.extend(found);
    }
    registry.registered.sort_by(|one, other| one.name.cmp(&other.name));
    registry
}
