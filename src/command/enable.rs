//! `epcache enable`: make the interpreters of an environment use the index from their start.

use serde::Serialize;

use super::args::{Enable, Environments, Selection};
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
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
    let work = find(&arguments.environments, Operation::Enable)?;
    let setting = Setting { accelerate: arguments.setting.accelerate, pip_hook: arguments.setting.pip_hook };
    let chosen = setting.features();
    let caller = nix::unistd::Uid::from_raw(caller::uid());
    let mut done = work.in_each(|site| interpreter_hook::enable(site, setting, caller));
    done.iter_mut().filter(|done| done.error.is_none()).for_each(|done| done.enabled.clone_from(&chosen));
    work.refresh_after(&mut done, |_, _| true);
    let text = |done: &Done| {
        let already = if done.changed { "" } else { "already " };
        format!("{}: {already}enabled: {}", done.site, chosen.join(", "))
    };
    Ok(print(work.status, &done, arguments.json, text))
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
