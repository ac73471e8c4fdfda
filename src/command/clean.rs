//! `epcache clean`: remove indexes from the cache whose site directories are gone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::args::Clean;
use super::{Status, needs, output};
use crate::config::Config;
use crate::error::{Error, Failure, Result};
use crate::privilege::sandbox::Needs;
use crate::privilege::{RunAs, child};
use crate::site::discovery::{self, Configured};
use crate::store::location::{SYSTEM_CACHE, USER_CACHE};
use crate::store::prune::{Pruned, prune, prune_own};
use crate::sys::caller;
use crate::sys::root::System;

/// What the process of the cache user sends to its parent.
#[derive(Serialize, Deserialize)]
struct Done {
    sites: Vec<String>,
    error: Option<Failure>,
}

/// An index that was removed: a line of `--json`.
#[derive(Serialize)]
struct Removed<'s> {
    site: &'s str,
}

pub fn run(arguments: &Clean) -> Result<Status> {
    let system = System::new(arguments.root.as_deref())?;
    let of_system = caller::is_root() || system.is_foreign();
    let location = if of_system { &SYSTEM_CACHE } else { &USER_CACHE };
    let Done { sites, error } = match of_system {
        true => clean_system(&system, arguments.dry_run)?,
        false => done(prune_own(&system, arguments.dry_run)),
    };
    for site in &sites {
        let done = if arguments.dry_run { "would be removed" } else { "removed" };
        match arguments.json {
            true => output::json_line(&Removed { site }),
            false => output::line(&format!("{site}: its index {done}")),
        }
    }
    if let Some(failure) = error {
        return Err(Error::Reported(failure));
    }
    if sites.is_empty() && !arguments.json {
        let top = location.top(&system).unwrap_or_default();
        output::line(&format!("{}: nothing to remove", top.display()));
    }
    Ok(Status::Success)
}

/// Removes indexes from the system's cache, in a process of the user that owns them.
fn clean_system(system: &System, dry_run: bool) -> Result<Done> {
    let config = Config::load(system)?;
    let Configured { found, errors } = discovery::system_wide(&config, system);
    if let Some(error) = errors.into_iter().next() {
        // A site directory that could not be examined may have an index that is right, so nothing is removed.
        return Err(error);
    }
    let kept: Vec<PathBuf> = found.into_iter().map(|place| place.path).collect();
    let mut needs = Needs { system: system.clone(), ..Needs::default() };
    needs::add_cache_directory(&mut needs, system);
    let run_as = if caller::is_root() { RunAs::User(system.cache_user()?) } else { RunAs::Caller };
    let confinement = needs::confinement(needs, config.require_sandbox);
    child::run(run_as, &confinement, || done(prune(system, &kept, dry_run)))
}

fn done(pruned: Pruned) -> Done {
    let sites = pruned.removed.iter().map(|site| site.to_string_lossy().into_owned()).collect();
    Done { sites, error: pruned.error.as_ref().map(Failure::from) }
}
