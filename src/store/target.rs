//! Who writes the index of a site directory, and where.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::privilege::RunAs;
use crate::site::SiteDir;
use crate::store::location::{self, Location};
use crate::sys::account::User;
use crate::sys::caller;
use crate::sys::resolve::Place;
use crate::sys::root::System;

/// A site directory with the rules for its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub site: PathBuf,
    pub location: &'static Location,
    /// The user as which everything that concerns it is done.
    pub run_as: RunAs,
    /// What was found at the path. A trigger's site directories are root's all the way, so nobody can exchange
    /// them.
    pub place: Option<Place>,
    /// Whether it is known to be a site directory before it is opened. Otherwise it has to hold a distribution.
    pub is_known: bool,
}

/// What a command does with site directories and their indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Inspect,
    /// Works out what a refresh would do, and writes nothing.
    DryRun,
    Refresh,
    /// Writes the indexes of an image.
    RefreshImage,
    /// Writes start-up files into site directories.
    Enable,
    /// Removes start-up files from site directories.
    Disable,
}

impl Operation {
    pub fn writes(self) -> bool {
        !matches!(self, Self::Inspect | Self::DryRun)
    }

    /// Whether it fails where the user who writes system-wide indexes does not exist.
    ///
    /// `Disable` does not: what was enabled can be disabled after that user has been removed. Those of an image
    /// are root's.
    pub fn needs_index_owner(self) -> bool {
        matches!(self, Self::DryRun | Self::Refresh | Self::Enable)
    }
}

impl Target {
    /// A system-wide site directory, for a process that is the cache user already.
    pub fn system_wide(site: PathBuf) -> Self {
        Self { site, location: &location::SYSTEM_CACHE, run_as: RunAs::Caller, place: None, is_known: true }
    }

    /// Chooses location and user for a place, given the paths of the system-wide site directories.
    pub fn of(place: Place, system_wide: &[PathBuf], operation: Operation, system: &System) -> Result<Self> {
        if !place.is_directory {
            return Err(Error::not_a_site(&place.path, "is not a directory"));
        }
        let caller = caller::uid();
        let system_wide = system_wide.contains(&place.path);
        if operation == Operation::RefreshImage && location::IMAGE.index(&place.path, system).is_none() {
            return Err(Error::site(&place.path, "has no index in /usr, since it is not in /usr itself"));
        }
        let (location, run_as) = match caller {
            0 if operation == Operation::RefreshImage => (&location::IMAGE, RunAs::User(system.user(0))),
            _ if operation == Operation::RefreshImage => (&location::IMAGE, RunAs::Caller),
            // Reading needs nobody else. It is root's all the way.
            0 if system_wide && !operation.needs_index_owner() && caller::is_bound() => {
                (&location::SYSTEM_CACHE, RunAs::User(system.user(0)))
            }
            0 if system_wide => {
                let user = cache_user(operation, system)?;
                (&location::SYSTEM_CACHE, RunAs::User(worker(user, operation, system)))
            }
            0 => (&location::SITE, RunAs::User(worker(system.user(place.owner), operation, system))),
            _ if system_wide && system.cache_user().is_ok_and(|user| user.uid == caller) => {
                (&location::SYSTEM_CACHE, RunAs::Caller)
            }
            _ if place.owner == caller => (&location::SITE, RunAs::Caller),
            _ => (&location::USER_CACHE, RunAs::Caller),
        };
        run_as.check().map_err(|error| Error::Unusable {
            path: place.path.clone(),
            why: error.to_string(),
            hint: error.hint(),
        })?;
        let is_known = system_wide || is_site_by_name(&place.path);
        Ok(Self { site: place.path.clone(), location, run_as, place: Some(place), is_known })
    }

    /// Opens the site directory, which must be the one that was found.
    pub fn open(&self, system: &System) -> Result<SiteDir> {
        let site = SiteDir::open_in(self.site.clone(), system)?;
        self.place.as_ref().map_or(Ok(()), |place| place.check(&site)).map(|()| site)
    }
}

/// Whether Python's installers give site directories this name.
fn is_site_by_name(path: &Path) -> bool {
    path.ends_with("site-packages") || path.ends_with("dist-packages")
}

/// The user as which root works on a system-wide site directory. Without a cache user, reading is done as
/// nobody.
fn cache_user(operation: Operation, system: &System) -> Result<User> {
    match system.cache_user() {
        Err(Error::NoUser { .. }) if !operation.needs_index_owner() => Ok(User::NOBODY),
        user => user,
    }
}

/// The user as which root works where `user` should. Reading needs no particular user.
fn worker(user: User, operation: Operation, system: &System) -> User {
    if operation.needs_index_owner() { user } else { system.reader(user) }
}
