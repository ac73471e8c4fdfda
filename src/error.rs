//! Errors, with what a user needs to act on them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::encoding::shell_quoted;

pub type Result<T> = std::result::Result<T, Error>;

/// An error as an unprivileged child sends it: text only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub message: String,
    pub hint: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { message: error.to_string(), hint: error.hint() }
    }
}

/// An error, with the path that it is about.
#[derive(Debug)]
pub enum Error {
    /// A path that can't be a site directory.
    Site { path: PathBuf, why: String },
    /// A system call on a file failed.
    Io {
        /// What failed, such as "can't open".
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The configuration is not usable.
    Configuration {
        path: PathBuf,
        /// Counted from 1.
        line: Option<usize>,
        why: String,
    },
    /// No site directory was named or found.
    NoSites { looked_for: String },
    /// Something else about a path that its owner has to change first.
    Unusable { path: PathBuf, why: String, hint: Option<String> },
    /// The owner of the system-wide indexes does not exist.
    NoUser {
        name: &'static str,
        /// The user database of another system in which it was looked up; `None` on the running one.
        database: Option<PathBuf>,
    },
    /// The user of that name can log in, so that it may be a person and not the owner of the system-wide indexes.
    LoginUser {
        name: &'static str,
        /// Empty for the default one.
        shell: PathBuf,
    },
    /// Root has to become another user, which the kernel does not let it.
    Bound { uid: u32 },
    /// Privileges could not be given up.
    Privileges { step: &'static str, source: io::Error },
    /// A process is not confined in every way that the administrator requires.
    Unconfined { lacking: String },
    /// The uid of a user of another system's tree is that of an account here that can log in.
    AnothersAccount { uid: u32, account: String, root: PathBuf },
    /// The uid or gid of a process is another account's here, and it is not confined.
    UnconfinedAsAnother { lacking: String, account: String, root: PathBuf },
    /// Error received from the unprivileged child.
    Reported(Failure),
    /// The unprivileged child did not do its job. The message says what it did instead.
    Child(Failure),
}

impl Error {
    pub fn site(path: &Path, why: impl Into<String>) -> Self {
        Self::Site { path: path.to_owned(), why: why.into() }
    }

    /// A path that is something else than a site directory, though it exists.
    pub fn not_a_site(path: &Path, why: &str) -> Self {
        let hint = "name a site-packages directory, or an environment with --venv".to_owned();
        Self::Unusable { path: path.to_owned(), why: why.to_owned(), hint: Some(hint) }
    }

    pub fn io(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { doing, path: path.to_owned(), source: source.into() }
    }

    pub fn child(what: impl Into<String>) -> Self {
        Self::Child(Failure { message: what.into(), hint: None })
    }

    /// The command or step that helps, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unusable { hint, .. } => hint.clone(),
            Self::Reported(failure) | Self::Child(failure) => failure.hint.clone(),
            Self::Bound { .. } => Some(
                "run epcache as that user, or with CAP_SETUID and CAP_SETGID where that user exists"
                    .to_owned(),
            ),
            Self::NoSites { .. } => Some("name one, or an environment with --venv".to_owned()),
            Self::Unconfined { .. } => Some("epcache status --sandbox".to_owned()),
            Self::NoUser { name, database: None } => Some(format!(
                "systemd-sysusers epcache.conf || useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin {name}"
            )),
            Self::NoUser { name, database: Some(path) } => {
                Some(format!("create the user {name} in that system first: {}", shell_quoted(path)))
            }
            Self::LoginUser { name, .. } => Some(format!(
                "if nobody uses that account, set its shell: usermod --shell /usr/sbin/nologin {name}"
            )),
            Self::AnothersAccount { root, .. } | Self::UnconfinedAsAnother { root, .. } => {
                let root = shell_quoted(root);
                Some(format!("if you trust its programs: chroot {root} epcache refresh --system"))
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
            | Self::Unusable { path, why, .. }
            | Self::Configuration { path, line: None, why } => write!(f, "{}: {why}", path.display()),
            Self::Io { doing, path, source } => write!(f, "{}: {doing}: {source}", path.display()),
            Self::Configuration { path, line: Some(line), why } => {
                write!(f, "{}:{line}: {why}", path.display())
            }
            Self::NoSites { looked_for } => write!(f, "no site directories found; looked for {looked_for}"),
            Self::NoUser { name, .. } => {
                write!(f, "no user {name} on this system, so {}", consequence(name))
            }
            Self::LoginUser { name, shell } => {
                let shell = if shell.as_os_str().is_empty() { Path::new("/bin/sh") } else { shell };
                write!(f, "the user {name} can log in ({}), so {}", shell.display(), consequence(name))
            }
            Self::Bound { uid } => write!(f, "the kernel does not let this process become the user {uid}"),
            Self::Privileges { step, source } => write!(f, "can't give up privileges: {step}: {source}"),
            Self::Unconfined { lacking } => {
                write!(f, "is not confined as require-sandbox demands: {lacking}")
            }
            Self::AnothersAccount { uid, account, root } => {
                let root = root.display();
                write!(
                    f,
                    "{root}: the uid {uid} is that of {account} on the running system, so no process gets it"
                )
            }
            Self::UnconfinedAsAnother { lacking, account, .. } => {
                write!(
                    f,
                    "has the uid or gid of {account} of the running system, but is not confined by {lacking}"
                )
            }
            Self::Reported(failure) => f.write_str(&failure.message),
            Self::Child(failure) => write!(f, "the unprivileged process {}", failure.message),
        }
    }
}

/// What does not happen without the user of this name.
fn consequence(name: &str) -> &'static str {
    match name {
        "epcache" => "no system-wide index is written",
        _ => "no system-wide hook runs",
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
