//! The program: parse, run, exit status.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use epcache::command;
use epcache::command::args::{Cli, Command, Trigger};
use epcache::sys::message;

/// A link to the program of this name means `epcache refresh`.
const REFRESH: &str = "refresh-entrypoints-cache";

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.first().is_some_and(|name| Path::new(name).file_name() == Some(REFRESH.as_ref())) {
        arguments.insert(1, "refresh".into());
    }
    let is_trigger = arguments.get(1).is_some_and(|name| name == "trigger");
    message::start(is_trigger);
    let trigger = arguments.get(1..).filter(|_| is_trigger).and_then(Trigger::parse_alone);
    let cli = match trigger {
        Some(trigger) => Ok(Cli { command: Command::Trigger(trigger) }),
        None => Cli::try_parse_from(&arguments),
    };
    match cli {
        Ok(cli) => command::run(cli),
        Err(error) => command::explain(&error, arguments.get(2..).filter(|_| is_trigger)),
    }
}
