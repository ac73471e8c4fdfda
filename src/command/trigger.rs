//! `epcache trigger`: called by package managers. Nothing that goes wrong here is the transaction's
//! business, so the exit status is 0 whatever happens.

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

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
    let done = done.inspect_err(|_| revoke(&system, |_| true))?;
    if done.iter().any(|(_, done)| done.unrevoked) {
        revoke(&system, |site| done.iter().any(|(at, done)| done.unrevoked && at == site));
    }
    done.iter().for_each(|(_, done)| done.print(arguments.json));
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

/// Revokes the indexes that `which` tells of. The answer of the child only chooses among the site
/// directories that the configuration names: root touches nothing that somebody else has named.
fn revoke(system: &System, which: impl Fn(&Path) -> bool) {
    for site in find::system_wide(&configuration(system), system) {
        if !which(&site) {
            continue;
        }
        if let Err(error) = revoke_if_present(&Target::system_wide(site), system) {
            report::error(&error);
        }
    }
}
