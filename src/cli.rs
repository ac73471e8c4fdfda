//! The command line: types only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// An index of the metadata of installed Python distributions.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 3 failed. A trigger always exits with 0."
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
    /// A JSON array
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
