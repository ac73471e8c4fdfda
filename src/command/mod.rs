//! The subcommands, one file each. Every `run` reads as the steps of its job, and returns the exit
//! status.

pub mod args;
mod clean;
mod delivery;
mod disable;
mod enable;
mod handover;
mod hooks;
mod list;
pub mod needs;
mod output;
mod refresh;
mod run;
mod sandbox;
mod selection;
mod status;
mod trigger;
mod verify;
mod watch;
mod work;

use std::ffi::OsString;
use std::process::ExitCode;

use self::args::{Cli, Command};
use self::work::Work;
use crate::sys::{message, signal};

/// The exit statuses, which the help and the manual page describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    /// Everything was done.
    Success = 0,
    /// An index is not fresh, or differs from the disk; a registration is not valid.
    Different = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// At least a part could not be done.
    Failed = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

pub fn run(cli: Cli) -> ExitCode {
    // The command of `run` gets the caller's umask.
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
        Command::Clean(arguments) => clean::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Hooks(arguments) => hooks::run(&arguments),
    };
    finish(result.unwrap_or_else(|error| {
        message::error(&error);
        Status::Failed
    }))
}

/// Prints help, or what is wrong with the arguments. `trigger` has the arguments of `epcache trigger`, if that was
/// called: wrong ones make the indexes stale.
pub fn explain(error: &clap::Error, trigger: Option<&[OsString]>) -> ExitCode {
    let printed = error.print();
    if !error.use_stderr() {
        output::record(printed);
        return finish(Status::Success);
    }
    if let Some(arguments) = trigger {
        trigger::refuse(arguments);
    }
    Status::Usage.into()
}

/// The exit status of a command that ends with `status`. Output that was lost is an error.
fn finish(status: Status) -> ExitCode {
    if output::report_failure() { Status::Failed.into() } else { status.into() }
}
