//! The directories that match a pattern of the configuration.
//!
//! A system-wide site directory must be root's, with everything on the way ([`Trust::Root`]): otherwise another user
//! would decide which directories are system-wide. On the way to an environment, a directory that is not root's is
//! listed by its owner ([`Trust::Owner`]), so that root opens no directory of another user. What may not be followed
//! is skipped with a warning.
//!
//! A directory that can't be examined is an error here. If it were silently left out, its index would stay
//! and nobody would refresh it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use rustix::fs::Dir;
use rustix::io::Errno;

use super::owner_list;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::limits::ENVIRONMENTS;
use crate::sys::caller;
use crate::sys::fs::{Links, open_dir};
use crate::sys::message;
use crate::sys::resolve::{self, Place, Trust};
use crate::sys::root::System;
use crate::sys::walk::Walk;

/// What a pattern is for.
#[derive(Clone, Copy)]
pub enum Kind<'s> {
    /// System-wide site directories.
    SystemWide,
    /// Environments, of any user.
    Environments(&'s Config, &'s System),
}

/// The directories that match `pattern`, an absolute path with `*`, `?` and `[...]` in its parts, none of
/// which matches a slash: sorted by what matched. `top` is the root of the system. What can't be examined is
/// added to `errors`.
pub fn directories(kind: Kind<'_>, top: &Walk, pattern: &str, errors: &mut Vec<Error>) -> Vec<Place> {
    let parts = Path::new(pattern).components();
    let parts: Vec<&OsStr> =
        parts.filter(|part| matches!(part, Component::Normal(_))).map(Component::as_os_str).collect();
    let mut search = Search { kind, found: Vec::new(), errors };
    search.find(top.clone(), Path::new("/"), OsStr::new(""), &parts);
    search.found
}

struct Search<'s> {
    kind: Kind<'s>,
    found: Vec<Place>,
    errors: &'s mut Vec<Error>,
}

impl Search<'_> {
    /// Walks from the directory `path`, where `above` has come to, to `name` and on through `parts`. The way to a
    /// directory is walked once for all that matches in it.
    fn find(&mut self, above: Walk, path: &Path, name: &OsStr, parts: &[&OsStr]) {
        let pattern = parts.iter().enumerate().find_map(|(at, part)| Some((at, pattern_of(part)?)));
        let plain = pattern.as_ref().map_or(parts.len(), |(at, _)| *at);
        let way: PathBuf = [name].iter().chain(&parts[..plain]).collect();
        let path = path.join(&way);
        let trust = match self.kind {
            Kind::SystemWide => Trust::Root,
            Kind::Environments(..) => Trust::Owner,
        };
        let Some((walk, place)) = self.note(directory(above, &way, &path, trust)) else { return };
        let Some((at, pattern)) = pattern else { return self.found.push(place) };
        let listed = match self.kind {
            Kind::Environments(config, system) if caller::is_root() && !place.is_roots => {
                listed_by_owner(&place, &pattern, config, system)
            }
            _ => listed(&walk, &place, &pattern),
        };
        for name in self.note(listed) {
            self.find(walk.clone(), &path, OsStr::from_bytes(&name), &parts[at + 1..]);
        }
    }

    /// Adds the error to `errors`, and continues as if nothing existed there.
    fn note<T: Default>(&mut self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.errors.push(error);
            T::default()
        })
    }
}

/// The pattern in a part of a path. `None` for a plain name.
fn pattern_of(part: &OsStr) -> Option<Pattern> {
    let text = part.to_str().filter(|text| text.contains(['*', '?', '[']))?;
    Pattern::new(text).ok()
}

/// The walk on to a directory, the system's `path`. `None` where there is none, or none that may be trusted.
fn directory(above: Walk, way: &Path, path: &Path, trust: Trust) -> Result<Option<(Walk, Place)>> {
    let walked = above.to(way, Links::Follow).map_err(Error::from);
    match walked.and_then(|walk| Ok((resolve::end(&walk, trust)?, walk))) {
        Ok((place, walk)) => Ok(place.is_directory.then_some((walk, place))),
        // It does not exist, or a link leads to nothing in the tree.
        Err(Error::Site { .. }) => Ok(None),
        Err(error @ Error::Unusable { .. }) => {
            message::warn_admin(&format!("{}: skipped: {error}", path.display()));
            Ok(None)
        }
        Err(Error::Io { doing, path, source }) => {
            nothing_or(Errno::from_io_error(&source).unwrap_or(Errno::IO), doing, &path)
        }
        Err(error) => Err(error),
    }
}

/// The names in a directory that match, sorted.
fn listed(walk: &Walk, place: &Place, pattern: &Pattern) -> Result<Vec<Vec<u8>>> {
    let opened = open_dir(walk.descriptor(), ".", Links::Refuse);
    let entries = match opened.and_then(Dir::new) {
        Ok(entries) => entries,
        Err(error) => return nothing_or(error, "can't list", &place.path),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("can't list", &place.path, error))?;
        let name = entry.file_name().to_bytes();
        if is_match(name, pattern) {
            found.push(name.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// The same, for root, in a directory that is not root's alone.
fn listed_by_owner(
    place: &Place,
    pattern: &Pattern,
    config: &Config,
    system: &System,
) -> Result<Vec<Vec<u8>>> {
    let is_wanted = |name: &[u8]| is_match(name, pattern);
    let directory = std::slice::from_ref(place);
    let lists = owner_list::names(place.owner, directory, is_wanted, ENVIRONMENTS, config, system)?;
    Ok(lists.into_iter().flatten().collect())
}

fn is_match(name: &[u8], pattern: &Pattern) -> bool {
    let path = Path::new(OsStr::from_bytes(name));
    name != b"." && name != b".." && pattern.matches_path_with(path, MatchOptions::default())
}

/// An empty result where nothing exists, or nothing that this user may see. Root may see everything, so for root
/// a refusal is an error.
fn nothing_or<T: Default>(error: Errno, doing: &'static str, path: &Path) -> Result<T> {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Ok(T::default()),
        Errno::ACCESS if !caller::is_root() => Ok(T::default()),
        error => Err(Error::io(doing, path, error)),
    }
}
