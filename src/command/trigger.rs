//! `epcache trigger`: called by package managers. Nothing that goes wrong here is the transaction's
//! business, so the exit status is 0 whatever happens.

use std::io::{ErrorKind, IsTerminal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::Status;
use super::args::{Manager, Trigger};
use super::needs::{self, Purpose};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::package_manager::{Hints, dpkg, for_site, rpm};
use crate::privilege::sandbox::Confinement;
use crate::privilege::{RunAs, child};
use crate::refresh::reconcile::{Depth, Request};
use crate::refresh::report::SiteReport;
use crate::refresh::{refresh, thorough};
use crate::site::discovery::{self, SystemWide};
use crate::store::invalidate::invalidate_if_present;
use crate::store::prune;
use crate::store::target::Target;
use crate::sys::root::System;
use crate::sys::{message, signal};

/// Refreshes the system-wide indexes after a package transaction.
#[must_use]
pub fn run(arguments: &Trigger) -> Status {
    signal::outlive_the_child();
    match catch_unwind(AssertUnwindSafe(|| attempt(arguments))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => message::error(&error),
        Err(_) => log::error!("the trigger failed by a mistake in epcache"),
    }
    Status::Done
}

fn attempt(arguments: &Trigger) -> Result<()> {
    let root = (arguments.manager == Manager::Dpkg).then(dpkg::root).flatten();
    let system = system(root.as_deref())?;
    if !nix::unistd::geteuid().is_root() {
        log::info!("not root, so no system-wide index is refreshed");
        return Ok(());
    }
    // Before anything can fail, so that what is revoked then need not be found out.
    let config = configuration(&system);
    let SystemWide { found: sites, errors } = discovery::system_wide(&config, &system);
    errors.iter().for_each(message::error);
    let done = system.cache_user().and_then(|user| {
        let run_as = RunAs::User(user);
        let targets: Vec<Target> = sites.iter().cloned().map(Target::system_wide).collect();
        let mut needs = needs::of(&targets, run_as, Purpose::Refresh, &system);
        needs::add_cache_directory(&mut needs, &system);
        let confinement = Confinement { needs, required: config.require_sandbox };
        child::run(run_as, &confinement, || work(arguments.manager, &system, &sites))
    });
    let done = done.inspect_err(|_| revoke(&system, &sites, |_| true))?;
    if done.iter().any(|(_, done)| done.unrevoked) {
        revoke(&system, &sites, |site| done.iter().any(|(at, done)| done.unrevoked && at == site));
    }
    done.iter().for_each(|(_, done)| done.print(arguments.json));
    Ok(())
}

/// A tree that is there, but can't be examined now, is taken for one: its indexes would otherwise be
/// believed as they are.
fn system(root: Option<&Path>) -> Result<System> {
    System::new(root).or_else(|error| match (root, &error) {
        (Some(root), Error::Io { source, .. }) if source.kind() != ErrorKind::NotFound => {
            message::error(&error);
            Ok(System::assumed(root))
        }
        _ => Err(error),
    })
}

/// Everything that touches indexes and metadata, done as the cache user.
fn work(manager: Manager, system: &System, sites: &[PathBuf]) -> Vec<(PathBuf, SiteReport)> {
    let hints = match manager {
        Manager::Rpm => read_hints(sites),
        Manager::Dpkg => Hints::new(),
    };
    let refresh_one = |site: &PathBuf| {
        let hints = for_site(&hints, site);
        let request = Request { depth: Depth::Directories, hints, finished: true, ..thorough() };
        let done = refresh(&Target::system_wide(site.clone()), system, &request, false);
        (site.clone(), done)
    };
    let done = sites.iter().map(refresh_one).collect();
    if let Err(error) = prune::prune(system, sites) {
        message::error(&error);
    }
    done
}

/// A broken configuration must not leave indexes behind that have become wrong.
fn configuration(system: &System) -> Config {
    Config::load(system).unwrap_or_else(|error| {
        log::error!("{error}; the defaults are used instead");
        // What could not be read may have demanded it.
        Config { require_sandbox: true, ..Config::default() }
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

/// Revokes the indexes that `which` tells of. The answer of the child only chooses among the site
/// directories that the configuration names: root touches nothing that somebody else has named.
fn revoke(system: &System, sites: &[PathBuf], which: impl Fn(&Path) -> bool) {
    for site in sites.iter().filter(|site| which(site)) {
        if let Err(error) = invalidate_if_present(&Target::system_wide(site.clone()), system) {
            message::error(&error);
        }
    }
}
