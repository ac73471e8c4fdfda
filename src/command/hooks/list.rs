//! `epcache hooks list`: what is registered, what of it counts, and what waits after failures.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::command::args::{HooksList, Selection};
use crate::command::selection::Unnamed;
use crate::command::{Status, Work, output};
use crate::config::Config;
use crate::error::{Error, Failure, Result};
use crate::hook::journal::{Journal, Run};
use crate::hook::{Environment, Origin, Registered, Registry, State, registry};
use crate::site::discovery;
use crate::store::target::{Operation, Target};
use crate::sys::message;
use crate::sys::root::System;

/// What was found in some directories, as the process that looked sends it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Found {
    rows: Vec<Row>,
    errors: Vec<Failure>,
    directories: Vec<String>,
}

/// One registration: an object of `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    name: String,
    path: String,
    origin: String,
    /// The prefix of the environment.
    environment: Option<String>,
    state: String,
    /// What overrides it, or why it is refused.
    reason: Option<String>,
    hint: Option<String>,
    /// What it says, unless it can't be read.
    registration: Option<serde_json::Value>,
    /// How often it has failed in a row, as far as that is known.
    failures: u32,
    /// When a refresh runs it again at the earliest, in seconds since 1970, if it has to wait.
    waits_until: Option<u64>,
}

pub fn run(arguments: &HooksList) -> Result<Status> {
    let HooksList { site, venv, root, json } = arguments;
    let selection = Selection { venv: venv.clone(), root: root.clone(), ..Selection::default() };
    let work = Work::find(site, &selection, Unnamed::EnvironmentIfAny, Operation::Inspect)?;
    let (system_wide, others): (Vec<Target>, Vec<Target>) =
        work.targets.iter().cloned().partition(|target| target.location.managed);
    let mut status = work.status;
    let mut found = Found::default();
    let is_unnamed = site.is_empty() && venv.is_empty();
    if is_unnamed || !system_wide.is_empty() {
        let mut of_system = Found::from(registry(&work.system, None));
        let sites = if is_unnamed { all_system_wide(&work.system)? } else { system_wide };
        // The journals can be read by root alone.
        for (_, journal) in work.about(sites, Operation::Inspect).for_each(Journal::find) {
            journal.ok().flatten().iter().for_each(|journal| of_system.add_failures(journal));
        }
        found.add(of_system);
    }
    for (_, of_site) in work.about(others, Operation::Inspect).for_each(of_site) {
        match of_site {
            Ok(of_site) => found.add(of_site),
            Err(error) => found.errors.push(Failure::from(&error)),
        }
    }
    if !found.errors.is_empty() {
        status = Status::Failed;
    }
    found.errors.drain(..).for_each(|failure| message::error(&Error::Reported(failure)));
    if found.rows.is_empty() && status == Status::Success {
        return Err(nothing(&found.directories));
    }
    if found.rows.iter().any(|row| row.state == REFUSED) {
        status = status.max(Status::Different);
    }
    output::list(&found.rows, *json, line);
    Ok(status)
}

/// What is registered for a site directory that is not system-wide.
fn of_site(target: &Target, system: &System) -> Result<Found> {
    let owner = target.place.as_ref().map(|place| place.owner);
    match owner.and_then(|owner| Environment::of(&target.site, owner)) {
        Some(environment) => {
            let mut found = Found::from(registry(system, Some(&environment)));
            Journal::find(target, system)?.iter().for_each(|journal| found.add_failures(journal));
            Ok(found)
        }
        None => Err(Environment::missing(&target.site)),
    }
}

/// The system-wide site directories, for which the hooks of the system are, as far as this process can work on them.
fn all_system_wide(system: &System) -> Result<Vec<Target>> {
    let found = discovery::system_wide(&Config::load(system)?, system).found;
    let paths: Vec<PathBuf> = found.iter().map(|place| place.path.clone()).collect();
    let target = |place| Target::of(place, &paths, Operation::Inspect, system).ok();
    Ok(found.into_iter().filter_map(target).collect())
}

fn nothing(directories: &[String]) -> Error {
    Error::Reported(Failure {
        message: format!("no hooks are registered; looked in {}", directories.join(", ")),
        hint: None,
    })
}

const ACTIVE: &str = "active";
const REFUSED: &str = "refused";

impl Found {
    fn add(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
        self.errors.append(&mut other.errors);
        self.directories.append(&mut other.directories);
    }

    /// Adds what the journal of a site directory has about hooks that failed.
    fn add_failures(&mut self, journal: &Journal) {
        for row in self.rows.iter_mut().filter(|row| row.state == ACTIVE) {
            let last = journal.hooks().get(&row.name).and_then(|pending| pending.last.as_ref());
            row.failures = row.failures.max(last.map_or(0, |last| last.failures));
            row.waits_until = row.waits_until.max(last.and_then(Run::waits_until));
        }
    }
}

impl From<Registry> for Found {
    fn from(registry: Registry) -> Self {
        Self {
            rows: registry.registered.iter().map(Row::from).collect(),
            errors: registry.errors.iter().map(Failure::from).collect(),
            directories: registry.directories.iter().map(|path| text(path)).collect(),
        }
    }
}

impl From<&Registered> for Row {
    fn from(registered: &Registered) -> Self {
        let (origin, environment) = match &registered.origin {
            Origin::Packages => ("packages", None),
            Origin::Administrator => ("administrator", None),
            Origin::Environment(prefix) => ("environment", Some(prefix)),
        };
        let (state, reason, hint) = match &registered.state {
            State::Active => (ACTIVE, None, None),
            State::Overridden(by) => ("overridden", Some(text(by)), None),
            State::Masked => ("masked", None, None),
            State::Disabled { hint } => ("disabled", None, Some(hint.clone())),
            State::Refused(why) => (REFUSED, Some(why.message.clone()), why.hint.clone()),
        };
        Self {
            name: registered.name.clone(),
            path: text(&registered.path),
            origin: origin.to_owned(),
            environment: environment.map(|prefix| text(prefix)),
            state: state.to_owned(),
            reason,
            hint,
            registration: registered.registration.as_ref().and_then(|it| serde_json::to_value(it).ok()),
            failures: 0,
            waits_until: None,
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn line(row: &Row) -> String {
    let mut text = format!("{}: {}", row.path, row.state);
    let description = || row.registration.as_ref()?.get("description")?.as_str();
    match (&*row.state, &row.reason) {
        ("overridden", Some(by)) => text += &format!(" by {by}"),
        (_, Some(why)) => text += &format!(": {why}"),
        (_, None) => text.extend(description().map(|description| format!(": {description}"))),
    }
    if row.failures > 0 {
        text += &format!("; failed {} times in a row", row.failures);
    }
    if let Some(until) = row.waits_until {
        let name = &row.name;
        text += &format!(", so it waits until {}; hint: epcache hooks run {name}", output::moment(until));
    }
    text.extend(row.hint.as_ref().map(|hint| format!("; hint: {hint}")));
    text
}
