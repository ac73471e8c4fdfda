//! The directories that match a pattern of the configuration.
//!
//! Only what is root's all the way is listed and found ([`Trust::Root`]), and everything else is skipped with a
//! warning: another user would decide which directories are system-wide.
//!
//! A directory that can't be examined is an error here. If it were silently left out, its index would stay
//! and nobody would refresh it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use rustix::fs::Dir;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::sys::caller;
use crate::sys::fs::{Links, open_dir};
use crate::sys::message;
use crate::sys::resolve::{self, Place, Trust};
use crate::sys::walk::Walk;

/// The directories that match `pattern`, an absolute path with `*`, `?` and `[...]` in its parts, none of
/// which matches a slash: sorted by what matched. `top` is the root of the system. What can't be examined is
/// added to `errors`.
pub fn directories(top: &Walk, pattern: &str, errors: &mut Vec<Error>) -> Vec<Place> {
    let parts = Path::new(pattern).components();
    let parts: Vec<&OsStr> =
        parts.filter(|part| matches!(part, Component::Normal(_))).map(Component::as_os_str).collect();
    let mut search = Search { found: Vec::new(), errors };
    search.find(top.clone(), Path::new("/"), OsStr::new(""), &parts);
    search.found
}

struct Search<'s> {
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
        let Some((walk, place)) = self.note(directory(above, &way, &path)) else { return };
        let Some((at, pattern)) = pattern else { return self.found.push(place) };
        for name in self.note(listed(&walk, &place, &pattern)) {
            self.find(walk.clone(), &path, OsStr::from_bytes(&name), &parts[at + 1..]);
        }
    }

    /// Notes the error, and continues as if there were nothing.
    fn note<T: Default>(&mut self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.errors.push(error);
            T::default()
        })
    }
}

/// The pattern that a part of a path is, unless it stands for itself.
fn pattern_of(part: &OsStr) -> Option<Pattern> {
    let text = part.to_str().filter(|text| text.contains(['*', '?', '[']))?;
    Pattern::new(text).ok()
}

/// The walk on to a directory, the system's `path`. `None` where there is none, or none that is root's all the
/// way.
fn directory(above: Walk, way: &Path, path: &Path) -> Result<Option<(Walk, Place)>> {
    let walked = above.to(way, Links::Follow).map_err(Error::from);
    match walked.and_then(|walk| Ok((resolve::end(&walk, Trust::Root)?, walk))) {
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
    let options = MatchOptions::default();
    let opened = open_dir(walk.descriptor(), ".", Links::Refuse);
    let entries = match opened.and_then(Dir::new) {
        Ok(entries) => entries,
        Err(error) => return nothing_or(error, "can't list", &place.path),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("can't list", &place.path, error))?;
        let name = entry.file_name().to_bytes();
        if name != b"."
            && name != b".."
            && pattern.matches_path_with(Path::new(OsStr::from_bytes(name)), options)
        {
            found.push(name.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// Nothing, where there is nothing or nothing that this user may see. Root may see everything, so for root
/// a refusal is an error.
fn nothing_or<T: Default>(error: Errno, doing: &'static str, path: &Path) -> Result<T> {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Ok(T::default()),
        Errno::ACCESS if !caller::is_root() => Ok(T::default()),
        error => Err(Error::io(doing, path, error)),
    }
}
