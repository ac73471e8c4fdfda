//! `epcache enable`: let the interpreters of an environment use the index from their start.

use clap::CommandFactory;
use clap::error::ErrorKind;
use serde::Serialize;

use super::args::{Cli, Enable, Environments, Selection};
use super::needs::Purpose;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::refresh::thorough;
use crate::site::SiteDir;
use crate::startup::{self, Setting};
use crate::store::target::{Access, Target};
use crate::sys::message;

/// What was done about one site directory. Serialized, this is a line of `--json`.
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

/// Enables what was chosen, and prints a line a site directory.
///
/// # Errors
/// When the configuration is not usable.
pub fn run(arguments: &Enable) -> Result<Status> {
    let Some(work) = find("enable", &arguments.environments, Access::Write)? else {
        return Ok(Status::Usage);
    };
    let setting = Setting { accelerate: arguments.setting.accelerate, pip_hook: arguments.setting.pip_hook };
    let chosen = [("accelerate", setting.accelerate), ("pip-hook", setting.pip_hook)];
    let chosen: Vec<_> = chosen.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect();
    let mut done = work.in_each(|site| startup::enable(site, setting));
    done.iter_mut().filter(|done| done.error.is_none()).for_each(|done| done.enabled.clone_from(&chosen));
    work.refresh_after(&mut done, |_, _| true);
    let said = |done: &Done| {
        let already = if done.changed { "" } else { "already " };
        format!("{}: {already}enabled: {}", done.site, chosen.join(", "))
    };
    Ok(tell(work.status, &done, arguments.json, said))
}

/// The site directories that are named; `None`, with a message, if none is and no environment is active.
pub(super) fn find(subcommand: &str, named: &Environments, access: Access) -> Result<Option<Work>> {
    let Environments { site, venv, python } = named;
    let mut selection = Selection { venv: venv.clone(), python: python.clone(), ..Selection::default() };
    if site.is_empty() && venv.is_empty() && python.is_empty() {
        match std::env::var_os("VIRTUAL_ENV").filter(|path| !path.is_empty()) {
            Some(active) => selection.venv.push(active.into()),
            None => {
                wrong_usage(subcommand);
                return Ok(None);
            }
        }
    }
    Work::find(site, &selection, Unnamed::One, access).map(Some)
}

fn wrong_usage(subcommand: &str) {
    let mut program = Cli::command();
    program.build();
    if let Some(subcommand) = program.find_subcommand_mut(subcommand) {
        let why = "no site directory is named, and no environment is active: VIRTUAL_ENV is not set";
        let _ = subcommand.error(ErrorKind::MissingRequiredArgument, why).print();
    }
}

/// Prints what was done, and returns how it went.
pub(super) fn tell(found: Status, done: &[Done], json: bool, said: impl Fn(&Done) -> String) -> Status {
    for done in done {
        if json {
            output::json_line(done);
        } else if done.error.is_none() {
            output::line(&said(done));
        }
    }
    if done.iter().any(|done| done.error.is_some()) { Status::Failed } else { found }
}

impl Work {
    /// Does `job`, which says whether it has changed anything, in every site directory as who owns it.
    /// That of the system is no exception: its index is another user's, but not its files.
    pub(super) fn in_each(&self, job: impl Fn(&SiteDir) -> Result<bool>) -> Vec<Done> {
        let as_owner = |target: &Target| {
            // One that has vanished is told of by the job.
            Target::of(target.site.clone(), &[], Access::Write, &self.system)
                .unwrap_or_else(|_| target.clone())
        };
        let owners = self.about(self.targets.iter().map(as_owner).collect());
        let attempt = |target: &Target, _: &_| {
            let done = SiteDir::open(target.site.clone()).and_then(|site| job(&site));
            // Told here, where what helps against it is known; a failure is an answer, too.
            Ok(done.inspect_err(message::error).map_err(|error| error.to_string()))
        };
        let done = owners.for_each(Purpose::Enable, attempt).map(|(target, done)| {
            let done = done.unwrap_or_else(|error| {
                message::error(&error);
                Err(error.to_string())
            });
            let site = target.site.to_string_lossy().into_owned();
            match done {
                Ok(changed) => Done { site, changed, ..Done::default() },
                Err(error) => Done { site, error: Some(error), ..Done::default() },
            }
        });
        done.collect()
    }

    /// A file that comes or goes makes the index stale, so those that are `wanted` are refreshed.
    pub(super) fn refresh_after(&self, done: &mut [Done], wanted: impl Fn(&Target, &Done) -> bool) {
        let (mut done, targets): (Vec<_>, Vec<_>) = done
            .iter_mut()
            .zip(&self.targets)
            .filter(|(done, target)| done.error.is_none() && wanted(target, done))
            .map(|(done, target)| (done, target.clone()))
            .unzip();
        let work = self.about(targets);
        for (done, report) in done.iter_mut().zip(work.refresh(&thorough(), false)) {
            done.index = report.index;
            done.error = report.error;
        }
    }
}
