//! Finding the environment that a command works on when none is named, as uv does.
//!
//! It is the first of these that is there ([`environment`]):
//!
//! 1. what `VIRTUAL_ENV`, `CONDA_PREFIX` or `UV_PROJECT_ENVIRONMENT` names. The base environment of conda comes
//!    after the next, since conda activates it in every shell;
//! 2. that of the project: `.venv` in the working directory or above;
//! 3. the prefix in which this program is installed, such as an environment, or `/usr/local` in an image of
//!    Python. A program of the system has none here: its directories are system-wide.
//!
//! What a variable names is taken as named by the caller. An environment that is only found, in the working
//! directory or above, is not taken if it belongs to another user, who may have left it for others to find.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::discovery;
use crate::config::Config;
use crate::error::Result;
use crate::sys::caller;
use crate::sys::resolve::Place;
use crate::sys::root::System;

/// uv's name for the environment of a project.
const VENV: &str = ".venv";
const UV_PROJECT_ENVIRONMENT: &str = "UV_PROJECT_ENVIRONMENT";

/// The site directories of the environment nearby; none where there is no environment. What a variable names
/// must be one.
pub fn environment(config: &Config, system: &System, system_wide: &[PathBuf]) -> Result<Vec<Place>> {
    let (named, base) = named();
    if let Some(path) = named.first() {
        return discovery::in_environment(path, config, system);
    }
    if let Some(found) = of_project(config, system).next() {
        return Ok(found);
    }
    if let Some(path) = base {
        return discovery::in_environment(&path, config, system);
    }
    Ok(beside_program(config, system, system_wide))
}

/// The site directories that a command started here may change: those of all environments nearby, and the
/// caller's own. What is no environment, or can't be examined, is not nearby.
pub fn all(config: &Config, system: &System) -> Vec<PathBuf> {
    let (named, base) = named();
    let sites = |path: PathBuf| discovery::in_environment(&path, config, system).unwrap_or_default();
    let mut found: Vec<Place> = named.into_iter().chain(base).flat_map(sites).collect();
    let own = discovery::of_user(config, system).unwrap_or_default();
    found.extend(own.into_iter().filter(|place| is_own(place.owner)));
    found.extend(of_project(config, system).flatten());
    let system_wide: Vec<PathBuf> =
        discovery::system_wide(config, system).found.into_iter().map(|place| place.path).collect();
    found.extend(beside_program(config, system, &system_wide));
    discovery::unique(found.into_iter().map(|place| place.path))
}

/// Where [`environment`] looks, for a message.
pub fn description(system: &System) -> String {
    let program = own_program(system).unwrap_or_default();
    format!(
        "an environment (VIRTUAL_ENV, CONDA_PREFIX, {UV_PROJECT_ENVIRONMENT}, {VENV} in the working directory \
         and above, that of {})",
        program.display()
    )
}

/// The environments that variables name, the innermost first, and the base environment of conda.
fn named() -> (Vec<PathBuf>, Option<PathBuf>) {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    let is_base = std::env::var("CONDA_DEFAULT_ENV").is_ok_and(|name| name == "base" || name == "root");
    let (conda, base) = match absolute("CONDA_PREFIX") {
        Some(path) if is_base => (None, Some(path)),
        path => (path, None),
    };
    let named = [absolute("VIRTUAL_ENV"), conda, absolute(UV_PROJECT_ENVIRONMENT)];
    (named.into_iter().flatten().collect(), base)
}

/// The site directories of each environment of the project, the nearest first.
fn of_project<'c>(config: &'c Config, system: &'c System) -> impl Iterator<Item = Vec<Place>> + 'c {
    // uv takes a relative path from the directory of the project.
    let relative = std::env::var_os(UV_PROJECT_ENVIRONMENT)
        .filter(|name| !name.is_empty() && !Path::new(name).is_absolute());
    let names: Vec<OsString> = relative.into_iter().chain([OsString::from(VENV)]).collect();
    let paths = project()
        .into_iter()
        .flat_map(move |directory| names.iter().map(|name| directory.join(name)).collect::<Vec<_>>());
    paths.filter_map(|path| {
        let mut found = discovery::in_environment(&path, config, system).unwrap_or_default();
        found.retain(|place| is_own(place.owner));
        (!found.is_empty()).then_some(found)
    })
}

/// The directories that may be a project's root: the working directory and those above it, up to the
/// root of the repository. A directory of another user, or that everybody may write to, ends the search.
fn project() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let mut above: Vec<PathBuf> = Vec::new();
    for directory in here.ancestors() {
        let is_safe = |meta: &Metadata| meta.mode() & 0o002 == 0 && (meta.uid() == 0 || is_own(meta.uid()));
        if !directory.metadata().is_ok_and(|meta| is_safe(&meta)) {
            break;
        }
        above.push(directory.to_owned());
        if directory.join(".git").symlink_metadata().is_ok() {
            break;
        }
    }
    above
}

/// Whether what belongs to `owner` counts as the caller's. Under sudo, so does what belongs to the user who called
/// sudo, as for git.
fn is_own(owner: u32) -> bool {
    let sudo = || std::env::var("SUDO_UID").ok()?.parse::<u32>().ok();
    owner == caller::uid() || caller::is_root() && sudo() == Some(owner)
}

/// The site directories of the prefix in which this program is installed. None for a program of the system.
fn beside_program(config: &Config, system: &System, system_wide: &[PathBuf]) -> Vec<Place> {
    let prefix = own_program(system).and_then(|program| {
        let bin = program.parent().filter(|bin| bin.file_name() == Some(OsStr::new("bin")))?;
        bin.parent().map(Path::to_owned)
    });
    let found = prefix.map_or(Vec::new(), |prefix| discovery::in_prefix(&prefix, config, system));
    match found.iter().any(|place| system_wide.contains(&place.path)) {
        true => Vec::new(),
        false => found,
    }
}

/// The path of this program as the caller has named it. A link is not followed: `pipx` and `uv tool` put one into
/// `~/.local/bin`, and uv can make each file of an environment a link.
fn own_program(system: &System) -> Option<PathBuf> {
    discovery::on_path(Path::new(&std::env::args_os().next()?), system)
}
