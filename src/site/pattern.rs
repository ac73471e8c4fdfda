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
use crate::sys::fs::Links;
use crate::sys::message;
use crate::sys::resolve::Trust;
use crate::sys::root::System;

/// The directories of `system` that match `pattern`, an absolute path with `*`, `?` and `[...]` in its
/// parts, none of which matches a slash: canonical paths, sorted by what matched. What can't be examined is
/// added to `errors`.
pub fn directories(system: &System, pattern: &str, errors: &mut Vec<Error>) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in Path::new(pattern).components() {
        let Component::Normal(part) = part else { continue };
        found = found.into_iter().flat_map(|directory| matching(system, directory, part, errors)).collect();
    }
    found.iter().filter_map(|path| note(directory(system, path), errors)).collect()
}

fn matching(system: &System, parent: PathBuf, part: &OsStr, errors: &mut Vec<Error>) -> Vec<PathBuf> {
    let text = part.to_str().unwrap_or_default();
    match Pattern::new(text) {
        Ok(pattern) if text.contains(['*', '?', '[']) => {
            let names = directory(system, &parent)
                .and_then(|seen| seen.map_or(Ok(Vec::new()), |seen| listed(system, &seen, &pattern)));
            note(names, errors).iter().map(|name| parent.join(OsStr::from_bytes(name))).collect()
        }
        _ => vec![parent.join(part)],
    }
}

/// Notes the error, and continues as if there were nothing.
fn note<T: Default>(result: Result<T>, errors: &mut Vec<Error>) -> T {
    result.unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}

/// The canonical path of a directory. `None` where there is none, or none that is root's all the way.
fn directory(system: &System, path: &Path) -> Result<Option<PathBuf>> {
    match system.resolve(path, Trust::Root) {
        Ok(place) => Ok(Some(place.path).filter(|_| place.is_directory)),
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
fn listed(system: &System, directory: &Path, pattern: &Pattern) -> Result<Vec<Vec<u8>>> {
    let options = MatchOptions::default();
    let opened =
        system.entry(directory, Links::Refuse).map_err(Errno::from).and_then(|entry| entry.open_dir());
    let entries = match opened.and_then(Dir::new) {
        Ok(entries) => entries,
        Err(error) => return nothing_or(error, "can't list", directory),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("can't list", directory, error))?;
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
