//! `epcache status --sandbox`: how processes are confined, found out by one that is.

use serde::Serialize;

use super::Status;
use crate::cli;
use crate::config::Config;
use crate::error::Result;
use crate::privilege::sandbox::{Confined, Confinement, State};
use crate::privilege::{Identity, child};
use crate::report;
use crate::system::{System, User};

/// Serialized, this is the object of `--json`.
#[derive(Debug, Serialize)]
struct Found {
    #[serde(flatten)]
    confined: Confined,
    /// Whether the configuration demands all of it.
    required: bool,
}

/// Prints a line a means of confinement.
///
/// # Errors
/// When the root or the configuration is not usable, or a process does not get the confinement that the
/// kernel promises.
pub fn run(arguments: &cli::Status) -> Result<Status> {
    let system = System::new(arguments.selection.root.as_deref())?;
    let required = Config::load(&system)?.require_sandbox;
    let identity = match nix::unistd::geteuid().is_root() {
        true => Identity::User(system.cache_user().unwrap_or(User::NOBODY)),
        false => Identity::Caller,
    };
    // Not required here, or nothing could be said of it.
    let confined = child::try_confinement(identity, &Confinement::default())?;
    let full = confined.lacking().is_none();
    print(&Found { confined, required }, arguments.json);
    Ok(if full { Status::Done } else { Status::No })
}

fn print(found: &Found, json: bool) {
    if json {
        return report::json_line(found);
    }
    for (name, part) in found.confined.parts() {
        let state = match part.state {
            State::Enforced => "enforced",
            State::Partial => "in part",
            State::Missing => "not enforced",
            State::Omitted => "left out",
        };
        report::line(report::printable(&format!("{name}: {state}: {}", part.detail)));
    }
    if found.required && found.confined.lacking().is_some() {
        report::line("required: nothing is indexed as long as not all of it is enforced");
    }
}
