//! What can go wrong, told so that the reader of the message can act on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// This crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// An error, with the path that it is about.
#[derive(Debug)]
pub enum Error {
    /// A path that can't be a site directory.
    Site {
        /// What was named.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A system call on a file failed.
    Io {
        /// What was attempted, as in "can't open".
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The configuration is not usable.
    Configuration {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
        /// What is wrong there.
        why: String,
    },
    /// The directory for indexes is not one that we may write to.
    CacheDirectory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// The command that mends it.
        hint: String,
    },
    /// The user that system-wide indexes belong to does not exist.
    NoUser {
        /// Its name.
        name: &'static str,
        /// The file in which it was looked for, if it was not asked of the system.
        database: Option<PathBuf>,
    },
    /// Privileges could not be given up.
    Privileges {
        /// Which step failed.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Not everything that confines a process is in force here, and the administrator demands it.
    Unconfined {
        /// What is not, and why.
        lacking: String,
    },
    /// An interpreter did not tell its site directories.
    Interpreter {
        /// The program that was asked.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// A site directory whose interpreters can't be made to use the index from their start.
    Startup {
        /// The file or directory that is in the way.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// The command that mends it.
        hint: String,
    },
    /// What a process without privileges that worked for us has told.
    Reported {
        /// The message, complete.
        message: String,
    },
    /// A process without privileges that worked for us ended without an answer.
    Child {
        /// How it ended.
        why: String,
    },
}

impl Error {
    /// A path that can't be a site directory.
    pub fn site(path: &Path, why: impl Into<String>) -> Self {
        Self::Site { path: path.to_owned(), why: why.into() }
    }

    /// A failed system call on `path`.
    #[must_use]
    pub fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }

    /// The command or step that helps, where one is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CacheDirectory { hint, .. } | Self::Startup { hint, .. } => Some(hint.clone()),
            Self::NoUser { name, database: None } => Some(format!(
                "systemd-sysusers epcache.conf, or useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin {name}"
            )),
            Self::NoUser { name, database: Some(path) } => {
                Some(format!("create the user {name} in that system first ({})", path.display()))
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, then run epcache refresh again".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site { path, why }
            | Self::CacheDirectory { path, why, .. }
            | Self::Startup { path, why, .. }
            | Self::Interpreter { path, why } => {
                write!(f, "{}: {why}", path.display())
            }
            Self::Io { doing, path, source } => write!(f, "{}: {doing}: {source}", path.display()),
            Self::Configuration { path, line: Some(line), why } => {
                write!(f, "{}:{line}: {why}", path.display())
            }
            Self::Configuration { path, line: None, why } => write!(f, "{}: {why}", path.display()),
            Self::NoUser { name, .. } => {
                write!(f, "no user {name} on this system, so no system-wide index is written")
            }
            Self::Privileges { step, source } => write!(f, "can't give up privileges: {step}: {source}"),
            // Part of what a child says, for which no hint is looked up.
            Self::Unconfined { lacking } => {
                write!(
                    f,
                    "is not confined as require-sandbox demands: {lacking}; hint: epcache status --sandbox"
                )
            }
            Self::Reported { message } => f.write_str(message),
            Self::Child { why } => write!(f, "the unprivileged process {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Privileges { source, .. } => Some(source),
            _ => None,
        }
    }
}
