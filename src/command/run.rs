//! `epcache run`: run a command, then refresh the indexes of what it may have changed.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::Work;
use super::args::{Run, Selection};
use super::selection::Unnamed;
use crate::error::Result;
use crate::privilege::inherited;
use crate::refresh::thorough;
use crate::relay::{self, Ended};
use crate::site::discovery;
use crate::store::target::Access;
use crate::sys::{message, signal};

/// Exit status when there is no such command, as shells have it.
const NOT_FOUND: u8 = 127;
/// The same for one that can't be executed.
const NOT_EXECUTABLE: u8 = 126;

/// Runs the command, refreshes, and ends as the command has ended.
#[must_use]
pub fn run(arguments: &Run) -> ExitCode {
    // The command's output stays the command's.
    log::set_max_level(if arguments.verbose { log::LevelFilter::Info } else { log::LevelFilter::Error });
    let before = around();
    let ended = match execute(&arguments.command) {
        Ok(ended) => ended,
        Err(status) => return ExitCode::from(status),
    };
    signal::set_umask();
    refresh(arguments, before).unwrap_or_else(|error| message::error(&error));
    match ended {
        Ended::With(status) => ExitCode::from(status),
        Ended::By(signal) => {
            inherited::end_by(signal);
            // Only the first process of a container gets here.
            ExitCode::from(u8::try_from(signal).map_or(u8::MAX, |signal| 128 | signal))
        }
    }
}

fn execute(words: &[OsString]) -> std::result::Result<Ended, u8> {
    let [program, arguments @ ..] = words else { return Err(NOT_FOUND) };
    let mut command = Command::new(program);
    command.args(arguments);
    relay::run(command).map(Ended::from).map_err(|error| {
        let program = Path::new(program).display();
        if error.kind() == io::ErrorKind::NotFound {
            log::error!("{program}: no such command");
            NOT_FOUND
        } else {
            log::error!("{program}: can't be executed: {error}");
            NOT_EXECUTABLE
        }
    })
}

/// Refreshes what is named, and what was or is around here now.
///
/// All of it, since a refresh is as cheap as finding out whether one is needed: stamps of the
/// directories do not tell of files that the command has edited in place.
fn refresh(arguments: &Run, before: Vec<PathBuf>) -> Result<()> {
    let mut sites = arguments.site.clone();
    if sites.is_empty() && arguments.venv.is_empty() {
        sites = discovery::unique(before.into_iter().chain(around()).filter(|site| site.is_dir()));
        if sites.is_empty() {
            return Ok(());
        }
    }
    let selection = Selection { venv: arguments.venv.clone(), ..Selection::default() };
    let work = Work::find(&sites, &selection, Unnamed::One, Access::Write)?;
    for done in work.refresh(&thorough(), false).filter(|done| done.error.is_none()) {
        log::info!("{done}");
    }
    Ok(())
}

/// The site directories that a command started here works on: those of active environments, of the
/// project's, and the caller's own.
fn around() -> Vec<PathBuf> {
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(std::env::var_os);
    let mut environments: Vec<PathBuf> = active.map(PathBuf::from).collect();
    let name = std::env::var_os("UV_PROJECT_ENVIRONMENT").filter(|name| !name.is_empty());
    for directory in project() {
        environments.push(directory.join(".venv"));
        // uv takes a relative path from the directory of the project.
        environments.extend(name.as_ref().map(|name| directory.join(name)));
    }
    let found = environments
        .iter()
        .filter(|path| path.is_absolute())
        .flat_map(|path| discovery::in_environment(path).unwrap_or_default());
    discovery::unique(found.chain(discovery::of_user()))
}

/// The directories that may be a project's: the working directory and those above it, to the root of
/// the repository.
fn project() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let mut above: Vec<PathBuf> = Vec::new();
    for directory in here.ancestors() {
        above.push(directory.to_owned());
        if directory.join(".git").symlink_metadata().is_ok() {
            break;
        }
    }
    above
}
