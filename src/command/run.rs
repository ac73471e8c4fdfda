//! `epcache run`: run a command, then refresh the indexes of what it may have changed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use nix::unistd::Pid;

use super::Work;
use super::args::{Run, Selection};
use super::selection::Unnamed;
use crate::config::Config;
use crate::error::Result;
use crate::refresh::{Ended, Request};
use crate::site::{discovery, nearby};
use crate::store::target::Operation;
use crate::sys::ended;
use crate::sys::message;
use crate::sys::root::System;
use crate::sys::signal::{self, Forwarding};

/// Exit status when the command does not exist, as shells have it.
const NOT_FOUND: u8 = 127;
/// Exit status when the command can't be executed, as shells have it.
const NOT_EXECUTABLE: u8 = 126;

/// Runs the command, refreshes, and returns the exit status of the command.
pub fn run(arguments: &Run) -> ExitCode {
    // Standard error is the command's: without --verbose, only errors are added to it.
    log::set_max_level(if arguments.verbose { log::LevelFilter::Info } else { log::LevelFilter::Error });
    let is_named = !(arguments.site.is_empty() && arguments.venv.is_empty());
    let before = if is_named { None } else { Some(nearby().unwrap_or_default()) };
    let [program, words @ ..] = &arguments.command[..] else { return ExitCode::from(NOT_FOUND) };
    let ended = match run_in_foreground(Command::new(program).args(words)) {
        Ok(ended) => ended,
        Err(error) => return ExitCode::from(report_failed_start(program, &error)),
    };
    let installer = Ended::now(names(&arguments.command));
    signal::set_umask();
    refresh(arguments, before, installer).unwrap_or_else(|error| message::error(&error));
    ExitCode::from(exit_status(ended))
}

/// Runs `command` to its end, with the signal handling of system(3).
fn run_in_foreground(command: &mut Command) -> io::Result<ExitStatus> {
    signal::restore_sigchld();
    let forwarding = Forwarding::start();
    let started = command.spawn().inspect(|child| {
        let process = Pid::from_raw(child.id() as libc::pid_t);
        forwarding.set_receiver(process);
        ended::wait(process);
    });
    // Before the command is reaped: after that, its process id may belong to another process.
    forwarding.stop();
    started?.wait()
}

/// The exit status with which a shell reports how a command ended: its own, or 128 and the signal.
fn exit_status(ended: ExitStatus) -> u8 {
    let status = ended.code().or_else(|| Some(128 + ended.signal()?));
    status.and_then(|status| u8::try_from(status).ok()).unwrap_or(u8::MAX)
}

/// Reports a command that could not be started, and returns the exit status for it.
fn report_failed_start(program: &OsStr, error: &io::Error) -> u8 {
    let program = Path::new(program).display();
    if error.kind() == io::ErrorKind::NotFound {
        log::error!("{program}: no such command");
        NOT_FOUND
    } else {
        log::error!("{program}: can't be executed: {error}");
        NOT_EXECUTABLE
    }
}

/// What the installer of a command may be called: `uv` for `uv sync`, `pip` for `python -m pip install`.
fn names(command: &[OsString]) -> impl Iterator<Item = String> {
    command.iter().filter_map(|word| Some(Path::new(word).file_name()?.to_str()?.to_owned()))
}

/// Refreshes the site directories that are named. If none is, those that were nearby `before` or are now.
///
/// All of them are refreshed. To find out which ones changed would cost as much: stamps of directories
/// do not show files that the command has edited in place.
fn refresh(arguments: &Run, before: Option<Vec<PathBuf>>, ended: Ended) -> Result<()> {
    let mut sites = arguments.site.clone();
    if let Some(before) = before {
        sites = discovery::unique(before.into_iter().chain(nearby()?).filter(|site| site.is_dir()));
        if sites.is_empty() {
            return Ok(());
        }
    }
    let selection = Selection { venv: arguments.venv.clone(), ..Selection::default() };
    let work = Work::find(&sites, &selection, Unnamed::One, Operation::Refresh)?;
    let hooks = work.system_hooks();
    let request = Request { ended: Some(ended), hooks, ..Request::thorough() };
    let reports = work.refresh_and_deliver(&request, true);
    for report in reports.iter().filter(|report| report.error.is_none()) {
        log::info!("{report}");
    }
    Ok(())
}

/// The site directories that a command started here may change.
fn nearby() -> Result<Vec<PathBuf>> {
    let system = System::new(None)?;
    Ok(nearby::all(&Config::load(&system)?, &system))
}
