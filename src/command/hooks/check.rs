//! `epcache hooks check`: whether a file is a valid registration.

use std::path::{Path, PathBuf};

use crate::command::args::HooksCheck;
use crate::command::{Status, needs, output};
use crate::config::Config;
use crate::error::{Error, Failure, Result};
use crate::hook::{State, check};
use crate::privilege::sandbox::{Needs, Reach};
use crate::privilege::{RunAs, child};
use crate::sys::resolve::Trust;
use crate::sys::root::System;
use crate::sys::{caller, message};

/// The lines that are printed about a valid registration.
type Lines = Vec<String>;

pub fn run(arguments: &HooksCheck) -> Result<Status> {
    let system = System::default();
    let config = Config::load(&system)?;
    let place = system.resolve(&arguments.file, Trust::Owner)?;
    // Root itself reads no file of another user: a process of that user does.
    let run_as = match caller::is_root() {
        true => RunAs::User(system.user(place.owner)),
        false => RunAs::Caller,
    };
    run_as.check()?;
    let file = spelled(&arguments.file, &system)?;
    let mut needs = Needs::default();
    needs.add(place.path.clone(), Reach::File);
    let confinement = needs::confinement(needs, config.require_sandbox);
    let judge = || judge(&file, place.owner, &system).map_err(|error| Failure::from(&error));
    let judged: std::result::Result<Lines, Failure> = child::run(run_as, &confinement, judge)?;
    let path = file.display();
    match judged {
        Ok(lines) => {
            lines.iter().for_each(|line| output::line(&format!("{path}: {line}")));
            Ok(Status::Success)
        }
        Err(Failure { message, hint }) => {
            let message = format!("{path}: {message}");
            message::error(&Error::Reported(Failure { message, hint }));
            Ok(Status::Different)
        }
    }
}

/// The canonical path of a file. A link as the last part is kept: it may be a mask.
fn spelled(file: &Path, system: &System) -> Result<PathBuf> {
    let absolute = std::path::absolute(file).map_err(|error| Error::io("can't find", file, error))?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => Ok(system.resolve(parent, Trust::Owner)?.path.join(name)),
        _ => Err(Error::site(file, "is not a file")),
    }
}

fn judge(file: &Path, owner: u32, system: &System) -> Result<Lines> {
    let registered = check(file, owner, system)?;
    let registration = match (registered.state, registered.registration) {
        (State::Refused(why), _) => return Err(Error::Reported(why)),
        (_, None) => return Ok(vec!["masks the registration of a package".to_owned()]),
        (_, Some(registration)) => registration,
    };
    let on = &registration.on;
    let mut lines = vec![
        format!("valid: {}", registration.description),
        format!("events: {}", listed(on.events.iter().map(ToString::to_string))),
        format!("distributions: {}", listed(on.distributions.iter().map(ToString::to_string))),
        format!("groups: {}", listed(on.groups.iter().map(ToString::to_string))),
    ];
    if registration.needs_environment() {
        lines.push("counts only in an environment, because it has a relative path".to_owned());
    }
    Ok(lines)
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "any".to_owned() } else { items.join(", ") }
}
