//! Refuses system calls that a job does not need, by a filter (seccomp).
//!
//! The calls of a job are listed (`allowed`): what is not in the list fails with `EPERM`, so that a newer
//! kernel adds nothing. A hook has a longer list (`hook`). For an interpreter that is asked for its directories,
//! the denied calls are listed (`denied`).

mod allowed;
mod denied;
mod filter;
mod hook;

use std::io;

use self::filter::{Filter, answers};
use super::{Part, Program, State};

/// Loads the filter for a job, or for a program that a job runs, and verifies that it is in force.
pub fn enter(program: Option<Program>) -> io::Result<Part> {
    let policy = match program {
        None => allowed::to_a_job(),
        Some(Program::Interpreter) => denied::to_a_program(),
        Some(Program::Hook { network }) => hook::to_a_hook(network),
    };
    if let Err(error) = Filter::new(&policy).load() {
        return Ok(Part::new(State::Missing, error.to_string()));
    }
    if !answers() {
        return Err(io::Error::other("it is not in force"));
    }
    let what = if program == Some(Program::Interpreter) { "denied" } else { "allowed, no other" };
    Ok(Part::new(State::Enforced, format!("{} system calls {what}", policy.calls())))
}
