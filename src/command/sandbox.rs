//! `epcache status --sandbox`: how processes are confined here, as a confined process finds it.

use serde::Serialize;

use super::Status;
use super::args;
use super::needs;
use super::output;
use crate::config::Config;
use crate::error::Result;
use crate::privilege::sandbox::{Confined, Needs, State};
use crate::privilege::{RunAs, child};
use crate::sys::account::User;
use crate::sys::caller;
use crate::sys::root::System;

/// The object of `--json`.
#[derive(Debug, Serialize)]
struct Found {
    #[serde(flatten)]
    confined: Confined,
    /// Whether the configuration requires all of it.
    required: bool,
}

pub fn run(arguments: &args::Status) -> Result<Status> {
    let system = System::new(arguments.selection.root.as_deref())?;
    let required = Config::load(&system)?.require_sandbox;
    let run_as = match caller::is_root() {
        // The kernel does not let this process become another user.
        true if caller::is_bound() => RunAs::User(system.user(caller::uid())),
        true => RunAs::User(system.cache_user().unwrap_or(User::NOBODY)),
        false => RunAs::Caller,
    };
    // Not required here: where something is missing, that is the answer.
    let confined = child::try_confinement(run_as, &needs::confinement(Needs::default(), false))?;
    let full = confined.lacking().is_none();
    print(&Found { confined, required }, arguments.json);
    Ok(if full { Status::Success } else { Status::Different })
}

fn print(found: &Found, json: bool) {
    if json {
        return output::json_line(found);
    }
    for (name, part) in found.confined.parts() {
        let state = match part.state {
            State::Enforced => "enforced",
            State::Partial => "in part",
            State::Missing => "not enforced",
            State::Omitted => "left out",
        };
        output::line(&format!("{name}: {state}: {}", part.detail));
    }
    if found.required && found.confined.lacking().is_some() {
        output::line("required: nothing is indexed as long as not all of it is enforced");
    }
}
