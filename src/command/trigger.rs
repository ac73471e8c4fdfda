//! `epcache trigger`: called by package managers. The exit status is 0 whatever fails, since an error here must
//! not fail the transaction. Only wrong arguments end with another one: the caller's fall-back then removes
//! the indexes.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::Trigger;
use super::{Status, Work, delivery, needs, output};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::Registration;
use crate::package_manager::{Hints, PackageManager, list};
use crate::privilege::sandbox::Confinement;
use crate::privilege::{RunAs, child};
use crate::refresh::report::SiteReport;
use crate::refresh::{Depth, Request, refresh};
use crate::site::discovery::{self, Configured};
use crate::store::invalidate::{invalidate_if_present, make_stale};
use crate::store::location::SYSTEM_CACHE;
use crate::store::prune;
use crate::store::target::{Operation, Target};
use crate::sys::account::User;
use crate::sys::deadline::ReadUntil;
use crate::sys::root::System;
use crate::sys::{caller, fs, message, signal};

/// Reading the list of changed files may take this part of the time: by default, 10 s of 120 s.
const LIST_SHARE: u32 = 12;

pub fn run(arguments: &Trigger) -> Status {
    signal::block_termination();
    report(Status::Success, || if arguments.before { expire_all(arguments) } else { refresh_all(arguments) });
    output::report_failure();
    Status::Success
}

/// Makes all system-wide indexes stale, since packages have changed and these arguments do not say what to do.
pub fn refuse(arguments: &[OsString]) {
    signal::block_termination();
    let root = PackageManager::root_by(arguments);
    report(Status::Usage, || {
        let system = find_system(root.as_deref())?;
        if caller::is_root() {
            log::error!("wrong arguments of a trigger, so no system-wide index is refreshed");
            invalidate(&system, &find_sites(&load_config(&system), &system), |_| true);
        }
        Ok(())
    });
}

/// Does `job`, and reports an error or a panic. After a panic the process exits with `status`.
#[allow(clippy::exit)]
fn report(status: Status, job: impl FnOnce() -> Result<()>) {
    message::on_panic(move || {
        log::error!("internal error in trigger");
        std::process::exit(status as i32)
    });
    job().unwrap_or_else(|error| message::error(&error));
}

/// Makes all system-wide indexes stale before files change. Readers then use of an index only what the stamps of a
/// distribution prove, and that holds however the transaction ends. No index is read or removed.
fn expire_all(arguments: &Trigger) -> Result<()> {
    let Some(system) = system_of(arguments)? else { return Ok(()) };
    for site in find_sites(&load_config(&system), &system) {
        if let Err(error) = make_stale(&Target::system_wide(site), &system) {
            message::error(&error);
        }
    }
    Ok(())
}

/// The system whose packages change. `None` for a caller who may not do anything there.
fn system_of(arguments: &Trigger) -> Result<Option<System>> {
    let system = find_system(arguments.manager.root().as_deref())?;
    if !caller::is_root() {
        log::info!("not root, so no system-wide index is refreshed");
        return Ok(None);
    }
    // The cache is read-only while an image is made. The service at boot makes the indexes, so no message is needed.
    if SYSTEM_CACHE.top(&system).is_some_and(|cache| fs::is_read_only(&cache)) {
        message::be_quiet();
    }
    Ok(Some(system))
}

fn refresh_all(arguments: &Trigger) -> Result<()> {
    let Some(system) = system_of(arguments)? else { return Ok(()) };
    // Before anything can fail: these are the site directories whose indexes are invalidated then.
    let config = load_config(&system);
    let sites = find_sites(&config, &system);
    let hooks = delivery::of_system(&system);
    let (user, mut reports) = system
        .cache_user()
        .and_then(|user| Ok((user, refresh_as(user, &config, arguments, &system, &sites, &hooks)?)))
        .inspect_err(|_| invalidate(&system, &sites, |_| true))?;
    let affected: HashSet<&Path> = reports
        .iter()
        .zip(&sites)
        .filter(|(report, _)| report.must_invalidate)
        .map(|(_, site)| site.as_path())
        .collect();
    invalidate(&system, &sites, |site| affected.contains(site));
    Work::of_trigger(&system, &config, user, &sites).deliver(&mut reports, &hooks);
    if arguments.json {
        reports.iter().for_each(output::json_line);
    }
    Ok(())
}

/// The system-wide site directories. What could not be examined is reported.
fn find_sites(config: &Config, system: &System) -> Vec<PathBuf> {
    let Configured { found, errors } = discovery::system_wide(config, system);
    errors.iter().for_each(message::error);
    found.into_iter().map(|place| place.path).collect()
}

/// The system to work on. A root that exists but can't be examined is assumed to be one: its indexes
/// would otherwise be trusted as they are.
fn find_system(root: Option<&Path>) -> Result<System> {
    System::new(root).or_else(|error| match (root, &error) {
        (Some(root), Error::Io { source, .. }) if source.kind() != ErrorKind::NotFound => {
            message::error(&error);
            Ok(System::assumed(root))
        }
        _ => Err(error),
    })
}

/// The configuration, or the defaults where it is broken: indexes that have become wrong must not stay.
fn load_config(system: &System) -> Config {
    Config::load(system).unwrap_or_else(|error| {
        message::error(&error);
        log::error!("the defaults are used instead of the configuration");
        // The broken file may have required the sandbox.
        Config { require_sandbox: true, ..Config::default() }
    })
}

/// Does all that touches indexes and metadata in a process of the cache user.
fn refresh_as(
    user: User,
    config: &Config,
    arguments: &Trigger,
    system: &System,
    sites: &[PathBuf],
    hooks: &Arc<[Registration]>,
) -> Result<Vec<SiteReport>> {
    let run_as = RunAs::User(user);
    let targets: Vec<Target> = sites.iter().cloned().map(Target::system_wide).collect();
    let mut needs = needs::of(&targets, run_as, Operation::Refresh, system);
    needs::add_cache_directory(&mut needs, system);
    let time_limit = config.trigger_timeout;
    let confinement = Confinement { time_limit, ..needs::confinement(needs, config.require_sandbox) };
    let request = Request {
        depth: Depth::Directories,
        finished: true,
        names: arguments.json,
        hooks: hooks.clone(),
        ..Request::thorough()
    };
    let refresh = || {
        let hints = match arguments.manager.writes_list {
            true => read_hints(sites, time_limit / LIST_SHARE),
            false => Hints::new(),
        };
        refresh_and_prune(&request, &hints, system, sites)
    };
    let reports = child::run(run_as, &confinement, refresh)?;
    match reports.len() == sites.len() {
        true => Ok(reports),
        false => Err(Error::child("sent an answer of the wrong length")),
    }
}

/// Refreshes the indexes of `sites`, and removes those that no trigger keeps up to date.
fn refresh_and_prune(
    request: &Request,
    hints: &Hints,
    system: &System,
    sites: &[PathBuf],
) -> Vec<SiteReport> {
    let refresh_one = |site: &PathBuf| {
        let request = Request { hints: hints.get(site).cloned().unwrap_or_default(), ..request.clone() };
        refresh(&Target::system_wide(site.clone()), system, &request, Operation::Refresh)
    };
    let reports = sites.iter().map(refresh_one).collect();
    if let Some(error) = prune::prune(system, sites, false).error {
        message::error(&error);
    }
    reports
}

/// Reads the list of changed files from standard input, for at most `limit`. The list only saves work, so one
/// that does not end in time is ignored.
fn read_hints(sites: &[PathBuf], limit: Duration) -> Hints {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Hints::new();
    }
    list::hints(ReadUntil::new(stdin.as_fd(), limit), sites).unwrap_or_else(|error| {
        log::warn!("can't read the list of files: {error}");
        Hints::new()
    })
}

/// Makes the indexes of those `sites` stale that `is_affected` selects. The child's answer only selects
/// among the site directories of the configuration: root touches no other path.
fn invalidate(system: &System, sites: &[PathBuf], is_affected: impl Fn(&Path) -> bool) {
    for site in sites.iter().filter(|site| is_affected(site)) {
        if let Err(error) = invalidate_if_present(&Target::system_wide(site.clone()), system) {
            message::error(&error);
        }
    }
}
