//! What an attacker gains who takes over a process that reads metadata. The attacks run after the drop of
//! privileges, in place of the job.

mod actions;
pub mod demanded;
mod endings;
mod escapes;
pub mod kernel;
pub mod mask;
mod places;
mod refusals;
mod taken_over;
