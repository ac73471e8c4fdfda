//! Refuses system calls that a job does not need, by a filter (seccomp).
//!
//! The calls of a job are listed (`allowed`): what is not in the list fails with `EPERM`, so that a newer
//! kernel adds nothing. For another program the denied calls are listed (`denied`).

mod allowed;
mod denied;
mod filter;

use std::io;

use self::filter::{Filter, answers};
use super::{Part, State};

/// Loads the filter for a job, or for a program that a job runs, and verifies that it is in force.
pub fn enter(program: bool) -> io::Result<Part> {
    let policy = if program { denied::to_a_program() } else { allowed::to_a_job() };
    if let Err(error) = Filter::new(&policy).load() {
        return Ok(Part::new(State::Missing, error.to_string()));
    }
    if !answers() {
        return Err(io::Error::other("it is not in force"));
    }
    let what = if program { "denied" } else { "allowed, no other" };
    Ok(Part::new(State::Enforced, format!("{} system calls {what}", policy.calls())))
}
