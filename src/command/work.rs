//! The site directories that a command works on. A process of its user does the work on each ([`Target::run_as`]).

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Status;
use super::args::Selection;
use super::needs;
use super::selection::{Selected, Unnamed, select};
use crate::config::Config;
use crate::encoding::shell_quoted;
use crate::error::{Error, Failure, Result};
use crate::privilege::{RunAs, child};
use crate::refresh::report::SiteReport;
use crate::refresh::{Request, refresh};
use crate::site::empty_directories::PYVENV_CFG;
use crate::store::index_dir::make_base;
use crate::store::invalidate::invalidate_if_present;
use crate::store::location::SIDECAR;
use crate::store::target::{Operation, Target};
use crate::sys::account::User;
use crate::sys::message;
use crate::sys::root::System;

/// The result of a job as JSON, or why there is none.
type Outcome = std::result::Result<Vec<u8>, Failure>;

pub(super) struct Work {
    pub system: System,
    pub targets: Vec<Target>,
    /// [`Status::Failed`] if something that was named could not be found.
    pub status: Status,
    operation: Operation,
    pub(super) require_sandbox: bool,
    pub(super) hooks_timeout: Duration,
}

impl Work {
    /// Finds the site directories that are named, and reports those that can't be found.
    pub fn find(
        sites: &[PathBuf],
        selection: &Selection,
        unnamed: Unnamed,
        operation: Operation,
    ) -> Result<Self> {
        let system = System::new(selection.root.as_deref())?;
        let config = Config::load(&system)?;
        let Selected { targets, errors } = select(sites, selection, unnamed, operation, &config, &system);
        errors.iter().for_each(message::error);
        let status = if errors.is_empty() { Status::Success } else { Status::Failed };
        let Config { require_sandbox, hooks_timeout, .. } = config;
        let found = Self { system, targets, status, operation, require_sandbox, hooks_timeout };
        Ok(found.without_other_directories())
    }

    /// Reports and leaves out what is a directory, but no site directory: no distribution is in it, and nothing
    /// else says that there will be. An index in `/etc` would be of no use.
    fn without_other_directories(mut self) -> Self {
        let unknown: Vec<Target> = match self.operation {
            // It checks more: the package that is installed there.
            Operation::Enable => Vec::new(),
            _ => self.targets.iter().filter(|target| !target.is_known).cloned().collect(),
        };
        let examined = self.about(unknown, Operation::Inspect);
        for (target, empty) in examined.for_each(is_empty) {
            let Ok(Some(is_environment)) = empty else { continue };
            let mut error = Error::not_a_site(
                &target.site,
                "is not a site directory: it has another name, and holds no distribution",
            );
            if let (Error::Unusable { hint, .. }, true) = (&mut error, is_environment) {
                *hint = Some(format!("--venv {}", shell_quoted(&target.site)));
            }
            message::error(&error);
            self.status = Status::Failed;
            self.targets.retain(|other| other != target);
        }
        self
    }

    /// The work of a trigger: system-wide site directories, as the user that owns their indexes.
    pub fn of_trigger(system: &System, config: &Config, user: User, sites: &[PathBuf]) -> Self {
        let target =
            |site: &PathBuf| Target { run_as: RunAs::User(user), ..Target::system_wide(site.clone()) };
        Self {
            system: system.clone(),
            targets: sites.iter().map(target).collect(),
            status: Status::Success,
            operation: Operation::Refresh,
            require_sandbox: config.require_sandbox,
            hooks_timeout: config.hooks_timeout,
        }
    }

    /// Another operation on other site directories.
    pub fn about(&self, targets: Vec<Target>, operation: Operation) -> Self {
        Self { system: self.system.clone(), targets, operation, ..*self }
    }

    /// The same operation on each site directory as the owner of that directory. A system-wide index belongs to
    /// another user.
    pub fn as_owners(&self) -> Self {
        let as_owner = |target: &Target| {
            let place = target.place.clone();
            place
                .and_then(|place| Target::of(place, &[], self.operation, &self.system).ok())
                .unwrap_or_else(|| target.clone())
        };
        self.about(self.targets.iter().map(as_owner).collect(), self.operation)
    }

    /// Refreshes every index. Where an index may be wrong afterwards, its site directory is touched, so
    /// that no reader believes it.
    pub fn refresh(&self, request: &Request) -> Vec<SiteReport> {
        let refresh_one =
            |target: &Target, system: &System| Ok(refresh(target, system, request, self.operation));
        let mut reports = Vec::new();
        for (target, report) in self.for_each(refresh_one) {
            let report = report.unwrap_or_else(|error| SiteReport::failed(&target.site, &error));
            if report.must_invalidate {
                invalidate_if_present(target, &self.system).unwrap_or_else(|error| message::error(&error));
            }
            reports.push(report);
        }
        reports
    }

    /// Does `job` for every target as its user, in one process for each user. Returns the results in the order of
    /// the targets.
    pub fn for_each<T: Serialize + DeserializeOwned>(
        &self,
        job: impl Fn(&Target, &System) -> Result<T>,
    ) -> Vec<(&Target, Result<T>)> {
        let do_one =
            |place: &usize| job(&self.targets[*place], &self.system).map_err(|error| Failure::from(&error));
        let do_all = |places: &[usize]| child::json(&places.iter().map(do_one).collect::<Vec<_>>());
        let mut done: Vec<Option<Result<T>>> = self.targets.iter().map(|_| None).collect();
        for (places, answer) in self.run(&do_all) {
            let results = answer.and_then(|json| {
                let results: Vec<std::result::Result<T, Failure>> = child::parsed(&json)?;
                match results.len() == places.len() {
                    true => Ok(results),
                    false => Err(Error::child("sent an answer of the wrong length")),
                }
            });
            let results = results.unwrap_or_else(|error| {
                let failure = Failure::from(&error);
                places.iter().map(|_| Err(failure.clone())).collect()
            });
            for (place, result) in places.into_iter().zip(results) {
                done[place] = Some(result.map_err(Error::Reported));
            }
        }
        self.targets.iter().zip(done.into_iter().flatten()).collect()
    }

    /// Does `job` once for each user, with the positions of all targets of that user.
    fn run(&self, job: &dyn Fn(&[usize]) -> Outcome) -> Vec<(Vec<usize>, Result<Vec<u8>>)> {
        if !self.operation.writes() {
            // Trust in an index depends on this user, which a confined process can't look up.
            let _ = self.system.cache_user();
        }
        let mut users: Vec<RunAs> = self.targets.iter().map(|target| target.run_as).collect();
        users.sort_unstable();
        users.dedup();
        let run_one = |run_as| {
            let of_user = self.targets.iter().enumerate().filter(|(_, target)| target.run_as == run_as);
            let (places, targets): (Vec<usize>, Vec<&Target>) = of_user.unzip();
            let answer = self.run_as(run_as, &targets, &|| job(&places));
            (places, answer)
        };
        users.into_iter().map(run_one).collect()
    }

    /// Does `job` for `targets` in one process of `run_as`.
    fn run_as(&self, run_as: RunAs, targets: &[&Target], job: &dyn Fn() -> Outcome) -> Result<Vec<u8>> {
        let needs = needs::of(targets.iter().copied(), run_as, self.operation, &self.system);
        let confinement = needs::confinement(needs, self.require_sandbox);
        if self.operation == Operation::Refresh {
            // Where this fails, the job fails too, and reports it.
            targets.iter().for_each(|target| drop(make_base(target.location, &target.site, &self.system)));
        }
        child::run_to_json(run_as, &confinement, job)
    }
}

/// `Some` for a directory that has neither a distribution nor an index, with whether it is a virtual environment.
fn is_empty(target: &Target, system: &System) -> Result<Option<bool>> {
    // More than one distribution is an error, and enough to know.
    let listing =
        target.open(system)?.list(1).map_err(|error| Error::io("can't list", &target.site, error))?;
    let has = |name: &str| listing.kind(name.as_bytes()).is_some();
    let is_empty = listing.distributions.is_empty() && !has(SIDECAR);
    Ok(is_empty.then(|| has(PYVENV_CFG)))
}
