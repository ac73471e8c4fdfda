//! A program that is not ours, and how it ended.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How many bytes of a program's output are kept: the first ones.
pub const MAX_OUTPUT: usize = 64 << 10;

/// A program that is ready to run.
#[derive(Debug)]
pub struct Program<'p> {
    /// The open file, which is executed by this descriptor.
    pub file: BorrowedFd<'p>,
    /// Its arguments. The first is the name by which it was found.
    pub arguments: Vec<OsString>,
    /// Its environment, apart from `HOME` and `TMPDIR`, which name its private directory.
    pub environment: Vec<(&'static str, OsString)>,
    /// Its standard input.
    pub input: &'p [u8],
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    Status(i32),
    Signal(String),
    /// It did not end in time, and was killed.
    Limit,
}

impl End {
    /// Reaps a child if it has ended.
    pub(super) fn of(child: Pid) -> Option<Self> {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => Some(Self::Status(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Self::Signal(signal.to_string())),
            Ok(_) | Err(Errno::EINTR) => None,
            // It has ended by a real-time signal, for which nix has no name.
            Err(_) => Some(Self::Signal("a real-time signal".to_owned())),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "killed by {signal}"),
            Self::Limit => f.write_str("did not end in time, and was killed"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub end: End,
    /// The beginning of what it printed, on standard output and standard error.
    pub output: String,
    /// Whether it printed more.
    pub is_cut: bool,
    /// Whether it left processes, which were killed.
    pub has_left: bool,
    pub seconds: f64,
    /// Which parts of the confinement are missing, for a message. `None` for a program with the caller's rights.
    pub lacking: Option<String>,
}
