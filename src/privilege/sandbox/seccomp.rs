//! System calls that no job makes, refused by a filter (seccomp).
//!
//! A list of what is denied, not of what is allowed: the C library may begin to use another call at any
//! time, and a job that fails for that leaves no index. What is denied answers as to somebody without
//! the right to it (`EPERM`).

use std::io;

use super::filter::{Filter, answers};
use super::{Part, State, denied};

/// Denies this process what no job needs, and looks whether that is in force.
///
/// # Errors
/// When it is not although the kernel says that it is.
pub fn enter(program: bool) -> io::Result<Part> {
    let rules = if program { denied::to_a_program() } else { denied::to_a_job() };
    if let Err(error) = Filter::of(&rules).load() {
        return Ok(Part::new(State::Missing, error.to_string()));
    }
    if !answers() {
        return Err(io::Error::other("it is not in force"));
    }
    Ok(Part::new(State::Enforced, format!("a filter of {} rules", rules.len())))
}
