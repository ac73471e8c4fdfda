//! Hooks: commands that are registered to run after distributions have come, changed or gone.
//!
//! [`registration`] is the content of one file, [`registry`] finds all files and says which of them count.
//! `docs/reference/hooks.md` specifies both.

pub mod registration;
pub mod registry;

pub use registration::Registration;
pub use registry::{Registered, Registry, registry};
