//! Finds the site directories that the command line names, and the rule of each.

use std::path::PathBuf;

use super::args::Selection;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::site::discovery;
use crate::store::target::{Operation, Target};
use crate::sys::caller;
use crate::sys::resolve::{Place, Trust};
use crate::sys::root::System;

/// What is selected when nothing is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// The active environment. Without one, the system's directories for root, and for others their own.
    One,
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
    let discovery::SystemWide { found, errors } = discovery::system_wide(config, system);
    let system_wide: Vec<PathBuf> = found.iter().map(|place| place.path.clone()).collect();
    let kinds = Kinds::of(sites, selection, unnamed, system);
    // Where the configured directories can't all be found, an unknown one may be system-wide. An index in
    // it would be trusted before that of the triggers, and nothing would keep it up to date.
    let doubtful = !errors.is_empty() && operation.needs_index_owner() && caller::is_root();
    if doubtful || kinds.system_wide {
        selected.errors.extend(errors);
    }
    let named = |path: &PathBuf| system.resolve(path, Trust::Owner);
    let mut places: Vec<Result<Place>> = sites.iter().map(named).collect();
    let mut add = |found: Result<Vec<Place>>| match found {
        Ok(found) => places.extend(found.into_iter().map(Ok)),
        Err(error) => places.push(Err(error)),
    };
    let active = if kinds.active { active() } else { None };
    for environment in selection.venv.iter().chain(&active) {
        add(discovery::in_environment(environment, config, system));
    }
    for program in &selection.python {
        add(discovery::of_interpreter(program, config, system));
    }
    if kinds.user {
        add(discovery::of_user(config, system));
    }
    if kinds.system_wide {
        places.extend(found.into_iter().map(Ok));
    }
    for place in places {
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
    if selected.targets.is_empty() && selected.errors.is_empty() {
        selected.errors.push(Error::NoSites { looked_for: kinds.describe(config) });
    }
    selected
}

/// The environment that a command works on when none is named.
fn active() -> Option<PathBuf> {
    discovery::active().next().filter(|path| path.is_absolute())
}

struct Kinds {
    active: bool,
    user: bool,
    system_wide: bool,
}

impl Kinds {
    fn of(sites: &[PathBuf], selection: &Selection, unnamed: Unnamed, system: &System) -> Self {
        let Selection { venv, python, user, system: system_wide, all, root: _ } = selection;
        let nothing =
            sites.is_empty() && venv.is_empty() && python.is_empty() && !(*user || *system_wide || *all);
        let foreign = system.is_foreign();
        if nothing && unnamed == Unnamed::One {
            let active = !foreign && active().is_some();
            let root = foreign || caller::is_root();
            return Self { active, user: !active && !root, system_wide: !active && root };
        }
        let all = *all || nothing;
        // On another system there is no active environment, and the caller is not a user.
        Self { active: all && !foreign, user: (*user || all) && !foreign, system_wide: *system_wide || all }
    }

    /// What was looked for, where nothing was found.
    fn describe(&self, config: &Config) -> String {
        let mut kinds = Vec::new();
        if self.active {
            kinds.push("the active environment (VIRTUAL_ENV, CONDA_PREFIX)".to_owned());
        }
        if self.user {
            kinds.push("your own (pip install --user)".to_owned());
        }
        if self.system_wide {
            kinds.push(format!("system-wide ones ({})", config.site_directories.join(", ")));
        }
        // An interpreter that was asked can have none either.
        if kinds.is_empty() { "those of the interpreter".to_owned() } else { kinds.join(", ") }
    }
}
