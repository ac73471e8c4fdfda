//! The command line: types only.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, FromArgMatches, Parser, Subcommand};

use crate::package_manager::{self, PackageManager};

/// An index of the metadata of installed Python distributions.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 success, 1 stale or different, 2 usage error, 3 error. `trigger` exits 0 unless its arguments are wrong; `run` exits with the command's status."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring indexes up to date
    ///
    /// Without arguments, those of the environment nearby: the one that VIRTUAL_ENV, CONDA_PREFIX or UV_PROJECT_ENVIRONMENT names, .venv in the working directory or above, or the one in which epcache is installed. Without one, root refreshes the system's, everybody else their own; without these, those of python3.
    Refresh(Refresh),
    /// Called by package managers after they have changed files
    Trigger(Trigger),
    /// List entry points (reads the disk where the index is stale)
    List(List),
    /// Show whether the index of each site directory is fresh
    Status(Status),
    /// Compare indexes with a full reading of the disk
    Verify(Verify),
    /// Make the interpreters of an environment use the index from their start
    ///
    /// The Python package must be installed there, except for --hooks alone. Calling it again replaces the earlier choice.
    Enable(Enable),
    /// Undo enable
    Disable(Disable),
    /// Run a command that installs packages, then refresh the indexes of what it changed
    ///
    /// By default it refreshes the environments that VIRTUAL_ENV, CONDA_PREFIX and UV_PROJECT_ENVIRONMENT name, the .venv of the project, the environment in which epcache is installed, and your own site directories. The exit status is the command's, or 128 and the number of the signal that killed it.
    Run(Run),
    /// Remove indexes from the cache whose site directories are gone
    ///
    /// From your own cache; for root from the system's, also those whose site directories the configuration does not name any more.
    Clean(Clean),
    /// Refresh indexes whenever something is installed, until it is stopped (for development machines)
    ///
    /// The site directories are those of `epcache refresh`.
    Watch(Watch),
    /// Show and check registered hooks: commands to run after distributions have changed
    Hooks(Hooks),
}

/// Selects site directories.
#[derive(Debug, Default, Args)]
pub struct Selection {
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// The site directories of an interpreter (root runs only one that root alone can change)
    #[arg(long, value_name = "EXE")]
    pub python: Vec<PathBuf>,
    /// Your own site directories (pip install --user)
    #[arg(long)]
    pub user: bool,
    /// The system-wide site directories of the configuration
    #[arg(long)]
    pub system: bool,
    /// The environment nearby, those of the configuration, your own and the system-wide site directories
    #[arg(long)]
    pub all: bool,
    /// Work on the system below this directory
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Refresh {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
    /// Read every distribution, changed or not
    #[arg(long)]
    pub full: bool,
    /// Write indexes that stay valid in copies of the tree (container images); may wait up to 3 s
    #[arg(long, conflicts_with = "no_seal")]
    pub seal: bool,
    /// With --system --seal: write to /usr/lib/epcache/index, for images whose /var is not kept
    #[arg(
        long,
        requires_all = ["system", "seal"],
        conflicts_with_all = ["site", "venv", "python", "user", "all", "no_seal", "wait", "after", "dry_run"]
    )]
    pub usr: bool,
    /// With --root: do not seal
    #[arg(long)]
    pub no_seal: bool,
    /// Wait until what was just installed is old enough to be settled, for 3 s at most (default at a terminal)
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// The installer that writes this name into INSTALLER has just ended: what it wrote is complete
    #[arg(long, value_name = "NAME", conflicts_with = "dry_run")]
    pub after: Option<String>,
    /// Show what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Run no hooks; the changes stay pending until the next refresh
    #[arg(long)]
    pub no_hooks: bool,
    /// Print one JSON object for each site directory
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Trigger {
    /// The package manager that calls
    #[arg(value_parser = managers())]
    pub manager: &'static PackageManager,
    /// The names of the activated triggers (dpkg), or the changed directories (apk)
    pub names: Vec<OsString>,
    /// Files are about to change: make the indexes stale
    #[arg(long, conflicts_with = "json")]
    pub before: bool,
    /// Print one JSON object for each site directory
    #[arg(long)]
    pub json: bool,
}

impl Trigger {
    /// Parses `trigger` and what follows, without the other subcommands: that takes a fraction of the time. `None`
    /// where it asks for help or is wrong, which the parser of the whole command line explains.
    pub fn parse_alone(arguments: &[OsString]) -> Option<Self> {
        let command = Self::augment_args(clap::Command::new("trigger"));
        Self::from_arg_matches(&command.try_get_matches_from(arguments).ok()?).ok()
    }
}

/// The package managers by name.
fn managers() -> impl TypedValueParser<Value = &'static PackageManager> {
    let values = package_manager::ALL.iter().map(|one| PossibleValue::new(one.name).help(one.help));
    PossibleValuesParser::new(values).try_map(|name| PackageManager::named(&name).ok_or("unknown"))
}

#[derive(Debug, Args)]
pub struct List {
    /// Site directories, in the order of sys.path
    #[arg(long, value_name = "DIR")]
    pub site: Vec<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
    /// Show only this group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Show only entry points of this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Show only those of this distribution
    #[arg(long, value_name = "DIST")]
    pub dist: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Site directories (default: all that are known)
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
    /// Show how processes that read metadata are confined on this system
    #[arg(long, conflicts_with_all = ["site", "venv", "python", "user", "system", "all"])]
    pub sandbox: bool,
    /// Print a JSON array; with --sandbox, an object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
}

#[derive(Debug, Args)]
pub struct Enable {
    #[command(flatten)]
    pub environments: Environments,
    #[command(flatten)]
    pub setting: Setting,
    /// Print one JSON object for each site directory
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Disable {
    #[command(flatten)]
    pub environments: Environments,
    /// Print one JSON object for each site directory
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Default, Args)]
pub struct Environments {
    /// Site directories (default: those of the environment nearby, as for refresh)
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// The site directories of an interpreter (root runs only one that root alone can change)
    #[arg(long, value_name = "EXE")]
    pub python: Vec<PathBuf>,
}

/// What is enabled in an interpreter.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = true)]
pub struct Setting {
    /// Let importlib.metadata and importlib_metadata answer from the index
    #[arg(long)]
    pub accelerate: bool,
    /// Let pip refresh the index when it ends
    #[arg(long)]
    pub pip_hook: bool,
    /// Let hooks that packages of the environment register run (see hooks list)
    #[arg(long)]
    pub hooks: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// Print on standard error what was refreshed
    #[arg(long)]
    pub verbose: bool,
    /// The command to run, after --
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct Clean {
    /// Work on the system below this directory
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object for each index
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Watch {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
    /// Run no hooks; the changes stay pending until the next refresh
    #[arg(long)]
    pub no_hooks: bool,
    /// Print one JSON object for each site directory that is refreshed
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Hooks {
    #[command(subcommand)]
    pub command: HooksCommand,
}

#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// List what is registered, and say what does not count and why
    ///
    /// Without arguments, the hooks of the system and those of the environment nearby. A hook of an environment counts only after `epcache enable --hooks`.
    List(HooksList),
    /// Check a registration, and show what it is for
    ///
    /// In a directory of registrations, it is judged as `epcache hooks list` does. Anywhere else, only its content is checked.
    Check(HooksCheck),
    /// Refresh, then run hooks as if everything there had just been added
    ///
    /// Without --venv, --system or --site, those that `epcache refresh` would run. None of them is limited by hooks-timeout, only by its own timeout.
    Run(HooksRun),
    /// Show what hooks printed when they last ran, and their pending changes
    Log(HooksLog),
}

#[derive(Debug, Args)]
pub struct HooksList {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// Work on the system below this directory
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HooksRun {
    /// Only the hooks of these names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub of: HooksOf,
    /// Give them only the distributions whose normalized name matches
    #[arg(long, value_name = "GLOB")]
    pub dist: Option<String>,
    /// Give them only their pending changes
    #[arg(long, conflicts_with = "dist")]
    pub due: bool,
    /// Show what would run, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct HooksLog {
    /// Only the hook of this name
    pub name: Option<String>,
    #[command(flatten)]
    pub of: HooksOf,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Selects the site directories whose hooks are meant.
#[derive(Debug, Args)]
pub struct HooksOf {
    /// Site directories
    #[arg(long, value_name = "DIR")]
    pub site: Vec<PathBuf>,
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// The system-wide site directories of the configuration
    #[arg(long)]
    pub system: bool,
}

#[derive(Debug, Args)]
pub struct HooksCheck {
    /// The file
    pub file: PathBuf,
}
