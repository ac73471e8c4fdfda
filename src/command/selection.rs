//! Finds the site directories that the command line names, with the location and the writer of each index.

use std::path::{Path, PathBuf};

use super::args::Selection;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::site::discovery::{self, Configured};
use crate::site::nearby;
use crate::store::target::{Operation, Target};
use crate::sys::caller;
use crate::sys::resolve::{Place, Trust};
use crate::sys::root::System;

/// The interpreter of a machine, as users start it.
const PYTHON: &str = "python3";

/// What is selected when nothing is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// The environment nearby. Without one, the system's directories for root, and for others their own.
    /// Without these, those of `python3`.
    One,
    /// The environment nearby and no others.
    Environment,
    /// The same, or nothing where there is none.
    EnvironmentIfAny,
    /// All that are known.
    All,
}

/// The site directories that a command works on.
#[derive(Debug, Default)]
pub struct Selected {
    /// Each once, in the order in which they were named.
    pub targets: Vec<Target>,
    /// Why something that was named is missing.
    pub errors: Vec<Error>,
}

/// Finds everything that `sites` and `selection` name.
pub fn select(
    sites: &[PathBuf],
    selection: &Selection,
    unnamed: Unnamed,
    operation: Operation,
    config: &Config,
    system: &System,
) -> Selected {
    let mut selected = Selected::default();
    let Configured { found, errors } = discovery::system_wide(config, system);
    let system_wide: Vec<PathBuf> = found.iter().map(|place| place.path.clone()).collect();
    let Selection { venv, python, user, system: of_system, all, root: _ } = selection;

    let mut search = Search::default();
    search.places.extend(sites.iter().map(|path| system.resolve(path, Trust::Owner)));
    for environment in venv {
        search.add(
            || "those of the environment".to_owned(),
            discovery::in_environment(environment, config, system),
        );
    }
    for program in python {
        search.add(
            || "those of the interpreter".to_owned(),
            discovery::of_interpreter(program, config, system),
        );
    }
    let nothing =
        search.places.is_empty() && venv.is_empty() && python.is_empty() && !(*user || *of_system || *all);
    let all = *all || nothing && unnamed == Unnamed::All;
    // On another system there is no environment nearby, and the caller is not a user.
    let is_foreign = system.is_foreign();
    if (all || nothing) && !is_foreign {
        let found = nearby::environment(config, system, &system_wide);
        search.add(|| nearby::description(system), found);
    }
    let others = all || nothing && unnamed == Unnamed::One && search.places.is_empty();
    let is_root = caller::is_root() || is_foreign;
    if all {
        let Configured { found, errors } = discovery::environments(config, system);
        selected.errors.extend(errors);
        let patterns = || format!("environments of the configuration ({})", config.environments.join(", "));
        if !config.environments.is_empty() {
            search.add(patterns, Ok(found));
        }
    }
    if (*user || others && (all || !is_root)) && !is_foreign {
        search.add(|| "your own (pip install --user)".to_owned(), discovery::of_user(config, system));
    }
    // Where the configured directories can't all be found, an unknown one may be system-wide. An index in
    // it would be trusted before that of the triggers, and nothing would keep it up to date.
    let doubtful = !errors.is_empty() && operation.needs_index_owner() && caller::is_root();
    let of_system = *of_system || others && (all || is_root);
    if of_system {
        let patterns = || format!("system-wide ones ({})", config.site_directories.join(", "));
        search.add(patterns, Ok(found));
    }
    if doubtful || of_system {
        selected.errors.extend(errors);
    }
    if others && search.places.is_empty() && selected.errors.is_empty() {
        let found = discovery::of_interpreter(Path::new(PYTHON), config, system);
        let why = found.as_ref().err().map(ToString::to_string);
        search.add(|| why.unwrap_or_default(), Ok(found.unwrap_or_default()));
    }
    for place in search.places {
        let place = place.and_then(|place| match doubtful && !system_wide.contains(&place.path) {
            true => Err(Error::site(&place.path, "may be system-wide, which can't be determined now")),
            false => Ok(place),
        });
        match place.and_then(|place| Target::of(place, &system_wide, operation, system)) {
            Ok(target) if selected.targets.contains(&target) => {}
            Ok(target) => selected.targets.push(target),
            Err(error) => selected.errors.push(error),
        }
    }
    let may_be_none = nothing && unnamed == Unnamed::EnvironmentIfAny;
    if selected.targets.is_empty() && selected.errors.is_empty() && !may_be_none {
        selected.errors.push(Error::NoSites { looked_for: search.looked_for.join(", ") });
    }
    selected
}

/// What was found, and what was looked for.
#[derive(Debug, Default)]
struct Search {
    places: Vec<Result<Place>>,
    looked_for: Vec<String>,
}

impl Search {
    fn add(&mut self, what: impl FnOnce() -> String, found: Result<Vec<Place>>) {
        match found {
            Ok(found) if found.is_empty() => self.looked_for.push(what()),
            Ok(found) => self.places.extend(found.into_iter().map(Ok)),
            Err(error) => self.places.push(Err(error)),
        }
    }
}
