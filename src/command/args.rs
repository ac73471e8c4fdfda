//! The command line: types only.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// An index of the metadata of installed Python distributions.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 3 failed. A trigger always exits with 0, run as its command does."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring indexes up to date
    ///
    /// Without arguments: of the active environment; without one, the system's for root and your own site directories for everybody else.
    Refresh(Refresh),
    /// Called by package managers after they have changed files
    Trigger(Trigger),
    /// List entry points: always the truth, whatever state the index is in
    List(List),
    /// Tell of each known site directory whether its index is fresh
    Status(Status),
    /// Compare indexes with everything on disk, read anew
    Verify(Verify),
    /// Let the interpreters of an environment use the index from their start
    ///
    /// The Python package must be installed there. Replaces an earlier choice.
    Enable(Enable),
    /// Undo enable
    Disable(Disable),
    /// Run a command that installs packages, then refresh what it has changed
    ///
    /// Unless directories are named: the environments that VIRTUAL_ENV, CONDA_PREFIX and UV_PROJECT_ENVIRONMENT name, the .venv of the project, and your own site directories. Ends as the command ends.
    Run(Run),
}

/// Which site directories are meant.
#[derive(Debug, Default, Args)]
pub struct Selection {
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// The site directories of an interpreter, which is asked as an unprivileged user
    #[arg(long, value_name = "EXE")]
    pub python: Vec<PathBuf>,
    /// Your own site directories, where pip install --user puts things
    #[arg(long)]
    pub user: bool,
    /// The system-wide site directories of the configuration
    #[arg(long)]
    pub system: bool,
    /// The active environment, your own and the system-wide site directories
    #[arg(long)]
    pub all: bool,
    /// Work on the system below this directory
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// `epcache refresh`
#[derive(Debug, Args)]
pub struct Refresh {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// Which others
    #[command(flatten)]
    pub selection: Selection,
    /// Read every distribution, changed or not
    #[arg(long)]
    pub full: bool,
    /// For images: make indexes that are of use in copies of the tree, too; takes 3 s after an installation
    #[arg(long, conflicts_with = "no_seal")]
    pub seal: bool,
    /// With --root: do not seal
    #[arg(long)]
    pub no_seal: bool,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object a site directory
    #[arg(long)]
    pub json: bool,
}

/// `epcache trigger`
#[derive(Debug, Args)]
pub struct Trigger {
    /// Who calls
    pub manager: Manager,
    /// The names of the triggers, as dpkg gives them
    pub names: Vec<String>,
    /// One JSON object a site directory
    #[arg(long)]
    pub json: bool,
}

/// The package managers that have a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Manager {
    /// A file trigger of RPM: the changed files on standard input, or nothing
    Rpm,
    /// A trigger of dpkg: heeds DPKG_ROOT
    Dpkg,
}

/// `epcache list`
#[derive(Debug, Args)]
pub struct List {
    /// Site directories, in the order of sys.path
    #[arg(long, value_name = "DIR")]
    pub site: Vec<PathBuf>,
    /// Which others
    #[command(flatten)]
    pub selection: Selection,
    /// Only this group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only entry points of this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only those of this distribution
    #[arg(long, value_name = "DIST")]
    pub dist: Option<String>,
    /// A JSON array
    #[arg(long)]
    pub json: bool,
}

/// `epcache status`
#[derive(Debug, Args)]
pub struct Status {
    /// Site directories; by default all that are known
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// Which others
    #[command(flatten)]
    pub selection: Selection,
    /// Say instead how processes that read metadata are confined here
    #[arg(long, conflicts_with_all = ["site", "venv", "python", "user", "system", "all"])]
    pub sandbox: bool,
    /// A JSON array; with --sandbox, an object
    #[arg(long)]
    pub json: bool,
}

/// `epcache verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// Which others
    #[command(flatten)]
    pub selection: Selection,
}

/// `epcache enable`
#[derive(Debug, Args)]
pub struct Enable {
    /// Where
    #[command(flatten)]
    pub environments: Environments,
    /// What is enabled
    #[command(flatten)]
    pub setting: Setting,
    /// One JSON object a site directory
    #[arg(long)]
    pub json: bool,
}

/// `epcache disable`
#[derive(Debug, Args)]
pub struct Disable {
    /// Where
    #[command(flatten)]
    pub environments: Environments,
    /// One JSON object a site directory
    #[arg(long)]
    pub json: bool,
}

/// Whose interpreters are meant.
#[derive(Debug, Args)]
pub struct Environments {
    /// Site directories; by default those of the environment that VIRTUAL_ENV names
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// The site directories of an interpreter, which is asked as an unprivileged user
    #[arg(long, value_name = "EXE")]
    pub python: Vec<PathBuf>,
}

/// What is to happen in an interpreter.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = true)]
pub struct Setting {
    /// importlib.metadata and importlib_metadata answer from the index
    #[arg(long)]
    pub accelerate: bool,
    /// pip refreshes the index when it ends
    #[arg(long)]
    pub pip_hook: bool,
}

/// `epcache run`
#[derive(Debug, Args)]
pub struct Run {
    /// Site directories
    #[arg(value_name = "SITE-DIR")]
    pub site: Vec<PathBuf>,
    /// A virtual environment
    #[arg(long, value_name = "DIR")]
    pub venv: Vec<PathBuf>,
    /// Say on standard error what was refreshed
    #[arg(long)]
    pub verbose: bool,
    /// What to run, after --
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<OsString>,
}
