//! All access to the operating system: files, signals, the log, and the root of the system that is worked on.

pub mod account;
pub mod caller;
pub(crate) mod deadline;
#[cfg_attr(target_vendor = "apple", path = "ended_apple.rs")]
pub(crate) mod ended;
pub(crate) mod fs;
pub mod message;
pub mod resolve;
pub mod root;
pub mod signal;
pub(crate) mod systemd;
pub(crate) mod tree;
pub(crate) mod walk;
#[cfg_attr(not(target_os = "linux"), path = "watch_elsewhere.rs")]
pub(crate) mod watch;
