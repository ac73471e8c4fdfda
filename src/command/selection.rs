//! From what was named on the command line to site directories with their rules.

use std::path::PathBuf;

use super::args::Selection;
use crate::config::Config;
use crate::error::Error;
use crate::site::discovery;
use crate::store::target::{Access, Target};
use crate::sys::root::System;

/// What is meant when nothing is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// The active environment; else the system's for root, and the user's own for others.
    One,
    /// Everything known.
    All,
}

/// The site directories that a command is about.
#[derive(Debug, Default)]
pub struct Selected {
    /// With their rules, each once, in the order in which they were named.
    pub targets: Vec<Target>,
    /// Why other things that were named are not among them.
    pub errors: Vec<Error>,
}

/// Finds everything that `sites` and `selection` name.
#[must_use]
pub fn select(
    sites: &[PathBuf],
    selection: &Selection,
    unnamed: Unnamed,
    access: Access,
    config: &Config,
    system: &System,
) -> Selected {
    let mut selected = Selected::default();
    let mut paths: Vec<PathBuf> = sites.to_vec();
    let discovery::SystemWide { found: system_wide, errors } = discovery::system_wide(config, system);
    let kinds = Kinds::of(sites, selection, unnamed, system);
    // An index in a directory that is system-wide after all would be believed before that of the
    // triggers, and kept right by nobody.
    let doubtful = !errors.is_empty() && access == Access::Write && nix::unistd::geteuid().is_root();
    if doubtful || kinds.system_wide {
        selected.errors.extend(errors);
    }
    let active = kinds.active.then(discovery::active).flatten();
    for environment in selection.venv.iter().chain(&active) {
        let seen = system.canonical(environment).and_then(|path| discovery::in_environment(&path));
        match seen {
            Ok(found) => paths.extend(found.iter().map(|path| system.within(path))),
            Err(error) => selected.errors.push(error),
        }
    }
    for program in &selection.python {
        match discovery::of_interpreter(program, config, system) {
            Ok(found) => paths.extend(found),
            Err(error) => selected.errors.push(error),
        }
    }
    if kinds.user {
        paths.extend(discovery::of_user());
    }
    if kinds.system_wide {
        paths.extend(system_wide.iter().map(|path| system.within(path)));
    }
    for path in paths {
        let seen = system.canonical(&path).and_then(|seen| match doubtful && !system_wide.contains(&seen) {
            true => Err(Error::site(&seen, "may be system-wide, which can't be told now")),
            false => Ok(seen),
        });
        match seen.and_then(|path| Target::of(path, &system_wide, access, system)) {
            Ok(target) if selected.targets.contains(&target) => {}
            Ok(target) => selected.targets.push(target),
            Err(error) => selected.errors.push(error),
        }
    }
    selected
}

/// Which kinds of site directories are looked for.
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
            let active = !foreign && discovery::active().is_some();
            let root = foreign || nix::unistd::geteuid().is_root();
            return Self { active, user: !active && !root, system_wide: !active && root };
        }
        let all = *all || nothing;
        // Another system has no active environment, and no user who calls.
        Self { active: all && !foreign, user: (*user || all) && !foreign, system_wide: *system_wide || all }
    }
}
