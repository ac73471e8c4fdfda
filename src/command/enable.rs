//! `epcache enable`: make the interpreters of an environment use the index from their start.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{self, Enable, Environments, Selection};
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::{Error, Result};
use crate::hook::Environment;
use crate::interpreter_hook::{self, Setting};
use crate::refresh::Request;
use crate::site::SiteDir;
use crate::store::target::{Operation, Target};
use crate::sys::{caller, message};

/// What was done in one site directory: a line of `--json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Done {
    pub site: String,
    /// What is enabled there now.
    pub enabled: Vec<&'static str>,
    pub changed: bool,
    pub index: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

pub fn run(arguments: &Enable) -> Result<Status> {
    let args::Setting { accelerate, pip_hook, hooks } = arguments.setting;
    let setting = Setting { accelerate, pip_hook, hooks };
    let chosen = setting.features();
    let caller = nix::unistd::Uid::from_raw(caller::uid());
    let (mut status, mut all) = (Status::Success, Vec::new());
    for part in parts(&arguments.environments) {
        let found = find(&part, Operation::Enable)?;
        let is_choice = part.site.is_empty() && setting.needs_package();
        let work = if is_choice { found.with_package() } else { found };
        let mut done = work.in_each(|site| {
            if setting.hooks {
                work.check_hooks(site.path())?;
            }
            interpreter_hook::enable(site, setting, caller)
        });
        done.iter_mut().filter(|done| done.error.is_none()).for_each(|done| done.enabled.clone_from(&chosen));
        work.refresh_after(&mut done, |_, _| true);
        status = status.max(work.status);
        all.extend(done);
    }
    let text = |done: &Done| {
        let already = if done.changed { "" } else { "already " };
        format!("{}: {already}enabled: {}", done.site, chosen.join(", "))
    };
    Ok(print(status, &all, arguments.json, text))
}

/// The site directories that are named, and each environment or interpreter by itself.
fn parts(named: &Environments) -> Vec<Environments> {
    let sites = Environments { site: named.site.clone(), ..Environments::default() };
    let environment = |path: &PathBuf| Environments { venv: vec![path.clone()], ..Environments::default() };
    let interpreter = |path: &PathBuf| Environments { python: vec![path.clone()], ..Environments::default() };
    let found = named.venv.iter().map(environment).chain(named.python.iter().map(interpreter));
    let mut parts: Vec<Environments> = found.collect();
    if !named.site.is_empty() || parts.is_empty() {
        parts.insert(0, sites);
    }
    parts
}

/// Finds the site directories that are named, by default those of the environment nearby.
pub(super) fn find(named: &Environments, operation: Operation) -> Result<Work> {
    let Environments { site, venv, python } = named;
    let selection = Selection { venv: venv.clone(), python: python.clone(), ..Selection::default() };
    Work::find(site, &selection, Unnamed::Environment, operation)
}

/// Prints what was done in each site directory, and returns the exit status, given that of the search.
pub(super) fn print(found: Status, done: &[Done], json: bool, text: impl Fn(&Done) -> String) -> Status {
    for done in done {
        if json {
            output::json_line(done);
        } else if done.error.is_none() {
            output::line(&text(done));
        }
    }
    if done.iter().any(|done| done.error.is_some()) { Status::Failed } else { found }
}

impl Work {
    /// Keeps the site directories that have the Python package, if any has. An interpreter has several, such as
    /// Debian's below `/usr/local` and `/usr`, and one of them suffices.
    fn with_package(mut self) -> Self {
        let has_package = |target: &Target, system: &_| interpreter_hook::has_package(&target.open(system)?);
        let work = self.as_owners();
        let found = work.for_each(has_package);
        let with: Vec<Target> = (self.targets.iter().zip(found))
            .filter(|(_, (_, has))| matches!(has, Ok(true)))
            .map(|(target, _)| target.clone())
            .collect();
        if !with.is_empty() {
            self.targets = with;
        }
        self
    }

    /// Fails for a site directory that has no hooks of its own.
    fn check_hooks(&self, site: &Path) -> Result<()> {
        let is_managed = |target: &Target| target.location.managed && target.site == site;
        if self.targets.iter().any(is_managed) {
            return Err(Error::Unusable {
                path: site.to_owned(),
                why: "is system-wide, and the hooks of the system need not be enabled".to_owned(),
                hint: Some("epcache hooks list".to_owned()),
            });
        }
        Environment::of(site, 0).map(drop).ok_or_else(|| Environment::missing(site))
    }

    /// Does `job` in every site directory as its owner. It returns whether it has changed anything.
    pub(super) fn in_each(&self, job: impl Fn(&SiteDir) -> Result<bool>) -> Vec<Done> {
        let job = |target: &Target, system: &_| job(&target.open(system)?);
        let report = |(target, changed): (&Target, Result<bool>)| {
            let error =
                changed.as_ref().err().inspect(|error| message::error(error)).map(ToString::to_string);
            let site = target.site.to_string_lossy().into_owned();
            Done { site, changed: changed.unwrap_or(false), error, ..Done::default() }
        };
        self.as_owners().for_each(job).into_iter().map(report).collect()
    }

    /// Refreshes the `wanted` indexes: a file that comes or goes has made them stale.
    pub(super) fn refresh_after(&self, done: &mut [Done], wanted: impl Fn(&Target, &Done) -> bool) {
        let (mut done, targets): (Vec<_>, Vec<_>) = done
            .iter_mut()
            .zip(&self.targets)
            .filter(|(done, target)| done.error.is_none() && wanted(target, done))
            .map(|(done, target)| (done, target.clone()))
            .unzip();
        let work = self.about(targets, Operation::Refresh);
        for (done, report) in done.iter_mut().zip(work.refresh(&Request::thorough())) {
            done.index = report.index;
            done.error = report.error;
        }
    }
}
