//! The subcommands, one file each. Every `run` reads as the steps of the job and returns the exit
//! status.

pub mod list;
pub mod refresh;
pub mod status;
pub mod trigger;
pub mod verify;

use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::{Cli, Command};
use crate::error::{Error, Result};
use crate::privilege::{Identity, child};
use crate::report;
use crate::site::owner::Target;

/// How a command ended; the numbers are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
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
pub fn run(cli: Cli) -> Status {
    let result = match cli.command {
        Command::Refresh(arguments) => refresh::run(&arguments),
        Command::Trigger(arguments) => return trigger::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        report::error(&error);
        Status::Failed
    })
}

/// Does `job` for every target, as whom its rule says; the results are in the order of the targets.
fn for_each<T: Serialize + DeserializeOwned>(
    targets: &[Target],
    job: impl Fn(&Target) -> T,
) -> Vec<Result<T>> {
    let mut identities: Vec<Identity> = targets.iter().map(|target| target.identity).collect();
    identities.sort_unstable();
    identities.dedup();
    let mut results: Vec<Option<Result<T>>> = targets.iter().map(|_| None).collect();
    for identity in identities {
        let ours = || (0..).zip(targets).filter(|(_, target)| target.identity == identity);
        let done: Result<Vec<T>> = child::run(identity, || ours().map(|(_, target)| job(target)).collect());
        let done: Vec<Result<T>> = match done {
            Ok(done) => done.into_iter().map(Ok).collect(),
            Err(error) => {
                let why = error.to_string();
                ours().map(|_| Err(Error::Child { why: why.clone() })).collect()
            }
        };
        let indexes: Vec<usize> = ours().map(|(index, _)| index).collect();
        for (index, result) in indexes.into_iter().zip(done) {
            results[index] = Some(result);
        }
    }
    let lost = || Err(Error::Child { why: "gave too short an answer".to_owned() });
    results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
}
