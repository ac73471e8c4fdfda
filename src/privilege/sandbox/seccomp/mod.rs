//! Refuses system calls that no job makes, by a filter (seccomp).
//!
//! The filter lists what is denied, not what is allowed. The C library may begin to use another call at
//! any time, and a job that fails for that leaves no index. A denied call fails with `EPERM`.

mod denied;
mod filter;

use std::io;

use self::filter::{Filter, answers};
use super::{Part, State};

/// Loads the filter for a job, or for a program that a job runs, and verifies that it is in force.
pub fn enter(program: bool) -> io::Result<Part> {
    let rules = if program { denied::to_a_program() } else { denied::to_a_job() };
    if let Err(error) = Filter::new(&rules).load() {
        return Ok(Part::new(State::Missing, error.to_string()));
    }
    if !answers() {
        return Err(io::Error::other("it is not in force"));
    }
    Ok(Part::new(State::Enforced, format!("a filter of {} rules", rules.len())))
}
