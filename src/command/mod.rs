//! The subcommands, one file each. Every `run` reads as the steps of the job and returns the exit
//! status.

pub mod args;
pub mod disable;
pub mod enable;
pub mod list;
pub mod needs;
pub mod output;
pub mod refresh;
pub mod run;
pub mod sandbox;
pub mod selection;
pub mod status;
pub mod trigger;
pub mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::args::{Cli, Command, Selection};
use self::needs::Purpose;
use self::selection::{Selected, Unnamed, select};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::privilege::sandbox::Confinement;
use crate::privilege::{RunAs, child};
use crate::refresh::reconcile::Request;
use crate::refresh::refresh;
use crate::refresh::report::SiteReport;
use crate::store::invalidate::invalidate_if_present;
use crate::store::target::{Access, Target};
use crate::sys::root::System;
use crate::sys::{message, signal};

/// How a command ended; the numbers are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// What was asked for makes no sense.
    Usage = 2,
    /// At least a part could not be done.
    Failed = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Runs what the command line asks for.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    // What `run` runs gets everything as we got it, the umask too.
    if !matches!(cli.command, Command::Run(_)) {
        signal::set_umask();
    }
    let result = match cli.command {
        Command::Refresh(arguments) => refresh::run(&arguments),
        Command::Trigger(arguments) => return trigger::run(&arguments).into(),
        Command::List(arguments) => list::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Enable(arguments) => enable::run(&arguments),
        Command::Disable(arguments) => disable::run(&arguments),
        Command::Run(arguments) => return run::run(&arguments),
    };
    let status = result.unwrap_or_else(|error| {
        message::error(&error);
        Status::Failed
    });
    status.into()
}

/// What a command of a person is about.
struct Work {
    system: System,
    targets: Vec<Target>,
    /// Whether everything that was named could be found.
    status: Status,
    /// Whether nothing is to be done by a process that is not fully confined.
    required: bool,
}

impl Work {
    /// Finds the site directories that are named, and says what is wrong with the others.
    fn find(sites: &[PathBuf], selection: &Selection, unnamed: Unnamed, access: Access) -> Result<Self> {
        let system = System::new(selection.root.as_deref())?;
        let config = Config::load(&system)?;
        let Selected { targets, errors } = select(sites, selection, unnamed, access, &config, &system);
        errors.iter().for_each(message::error);
        let status = if errors.is_empty() { Status::Done } else { Status::Failed };
        if targets.is_empty() && errors.is_empty() {
            log::info!("no site directories found");
        }
        Ok(Self { system, targets, status, required: config.require_sandbox })
    }

    /// The same about other site directories.
    fn about(&self, targets: Vec<Target>) -> Self {
        Self { system: self.system.clone(), targets, ..*self }
    }

    /// Refreshes every target, and sees to it that no reader believes an index that could not be.
    fn refresh(&self, request: &Request, dry_run: bool) -> impl Iterator<Item = SiteReport> {
        let purpose = if dry_run { Purpose::Look } else { Purpose::Refresh };
        self.for_each(purpose, move |target, system| Ok(refresh(target, system, request, dry_run))).map(
            |(target, done)| {
                let done = done.unwrap_or_else(|error| SiteReport::failed(&target.site, &error));
                if done.unrevoked {
                    invalidate_if_present(target, &self.system)
                        .unwrap_or_else(|error| message::error(&error));
                }
                done
            },
        )
    }

    /// Does `job` for every target, as whom its rule says, and returns the results in their order.
    fn for_each<T: Serialize + DeserializeOwned>(
        &self,
        purpose: Purpose,
        job: impl Fn(&Target, &System) -> Result<T>,
    ) -> impl Iterator<Item = (&Target, Result<T>)> {
        let mut users: Vec<RunAs> = self.targets.iter().map(|target| target.run_as).collect();
        users.sort_unstable();
        users.dedup();
        if purpose == Purpose::Look {
            // Whose index is trusted is not to be found out any more by who is confined.
            let _ = self.system.cache_user();
        }
        let mut results: Vec<Option<Result<T>>> = self.targets.iter().map(|_| None).collect();
        for run_as in users {
            let ours = || (0..).zip(&self.targets).filter(|(_, target)| target.run_as == run_as);
            let told = |target| job(target, &self.system).map_err(|error| error.to_string());
            let needs = needs::of(ours().map(|(_, target)| target), run_as, purpose, &self.system);
            let confinement = Confinement { needs, required: self.required };
            let done: Result<Vec<std::result::Result<T, String>>> =
                child::run(run_as, &confinement, || ours().map(|(_, target)| told(target)).collect());
            match done {
                Ok(done) => ours().zip(done).for_each(|((index, _), result)| {
                    results[index] = Some(result.map_err(|message| Error::Reported { message }));
                }),
                Err(error) => ours().for_each(|(index, _)| {
                    results[index] = Some(Err(Error::Reported { message: error.to_string() }));
                }),
            }
        }
        let lost = || Err(Error::Child { why: "gave too short an answer".to_owned() });
        self.targets.iter().zip(results).map(move |(target, result)| (target, result.unwrap_or_else(lost)))
    }
}
