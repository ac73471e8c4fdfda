//! With a filter.

mod denied;
mod filter;

use std::io;

use super::super::{Part, State};
use filter::{Filter, answers};

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
