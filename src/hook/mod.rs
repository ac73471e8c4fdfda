//! Hooks: commands that are registered to run after distributions were added, updated or removed.
//!
//! [`registration`] is the content of one file, which [`parse`] reads. [`mod@registry`] says which files count ([`registered`]):
//! those of the system, or of an [`environment`]. [`layer`] judges those of one directory, and [`program`] what they
//! run. The [`journal`] has the pending changes of each hook. [`mod@run`] runs them, each in its
//! [`surroundings`]. `docs/reference/hooks.md` specifies all of it.

pub mod environment;
pub mod journal;
mod layer;
mod parse;
pub(crate) mod program;
pub mod registered;
pub mod registration;
pub mod registry;
pub mod run;
pub mod surroundings;

pub use environment::Environment;
pub use layer::check;
pub use registered::{Origin, Registered, State};
pub use registration::Registration;
pub use registry::{Registry, registry};
