//! `epcache hooks`: registered hooks.

mod check;
mod list;
mod log;
mod run;

use super::Status;
use super::args::{Hooks, HooksCommand};
use crate::error::Result;

pub fn run(arguments: &Hooks) -> Result<Status> {
    match &arguments.command {
        HooksCommand::List(arguments) => list::run(arguments),
        HooksCommand::Check(arguments) => check::run(arguments),
        HooksCommand::Run(arguments) => run::run(arguments),
        HooksCommand::Log(arguments) => log::run(arguments),
    }
}
