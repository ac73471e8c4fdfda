//! `epcache trigger`: called by package managers. Nothing that goes wrong here is the transaction's
//! business, so the exit status is 0 whatever happens.

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::Status;
use crate::cli::{Manager, Trigger};
use crate::config::Config;
use crate::error::Result;
use crate::privilege::{Identity, child, start};
use crate::reconcile::{Depth, Request};
use crate::refresh::{refresh, revoke_if_present};
use crate::report::{self, SiteReport};
use crate::site::find;
use crate::site::owner::Target;
use crate::system::System;
use crate::trigger::{Hints, dpkg, for_site, rpm};

/// Refreshes the system-wide indexes after a package transaction.
#[must_use]
pub fn run(arguments: &Trigger) -> Status {
    start::outlive_the_child();
    match catch_unwind(AssertUnwindSafe(|| attempt(arguments))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => report::error(&error),
        Err(_) => log::error!("the trigger failed by a mistake in epcache"),
    }
    Status::Done
}

fn attempt(arguments: &Trigger) -> Result<()> {
    let root = (arguments.manager == Manager::Dpkg).then(dpkg::root).flatten();
    let system = System::new(root.as_deref())?;
    if !nix::unistd::geteuid().is_root() {
        log::info!("not root, so no system-wide index is refreshed");
        return Ok(());
    }
    let done = system
        .cache_user()
        .and_then(|user| child::run(Identity::User(user), || work(arguments.manager, &system)));
    let done = done.inspect_err(|_| revoke_all(&system))?;
    for (site, done) in done {
        if done.unrevoked {
            revoke(site, &system);
        }
        done.print(arguments.json);
    }
    Ok(())
}

/// Everything that touches files, done as the cache user.
fn work(manager: Manager, system: &System) -> Vec<(PathBuf, SiteReport)> {
    let sites = find::system_wide(&configuration(system), system);
    let hints = match manager {
        Manager::Rpm => read_hints(&sites),
        Manager::Dpkg => Hints::new(),
    };
    let refresh_one = |site: PathBuf| {
        let request = Request { depth: Depth::Directories, hints: for_site(&hints, &site), finished: true };
        let done = refresh(&Target::system_wide(site.clone()), system, &request, false);
        (site, done)
    };
    sites.into_iter().map(refresh_one).collect()
}

/// A broken configuration must not leave indexes behind that have become wrong.
fn configuration(system: &System) -> Config {
    Config::load(system).unwrap_or_else(|error| {
        log::error!("{error}; the defaults are used instead");
        Config::default()
    })
}

fn read_hints(sites: &[PathBuf]) -> Hints {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Hints::new();
    }
    rpm::hints(stdin.lock(), sites).unwrap_or_else(|error| {
        log::warn!("can't read the list of files: {error}");
        Hints::new()
    })
}

fn revoke_all(system: &System) {
    for site in find::system_wide(&configuration(system), system) {
        revoke(site, system);
    }
}

fn revoke(site: PathBuf, system: &System) {
    if let Err(error) = revoke_if_present(&Target::system_wide(site), system) {
        report::error(&error);
    }
}
