//! The one door to the operating system: files, signals, the log, and the root of the system that is worked on.

pub mod account;
pub mod caller;
pub(crate) mod deadline;
pub(crate) mod fs;
pub mod message;
pub mod resolve;
pub mod root;
pub mod signal;
pub(crate) mod systemd;
pub(crate) mod tree;
pub(crate) mod walk;
pub(crate) mod watch;
