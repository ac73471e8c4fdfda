//! The one door to the operating system: signals, the log, and the root of the system that is worked on.

pub mod message;
pub mod root;
pub mod signal;
