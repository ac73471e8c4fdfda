//! The directories that match a pattern of the configuration.
//!
//! A directory that can't be examined is an error here. If it were silently left out, its index would stay
//! and nobody would refresh it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::sys::fs::{CWD, Links, open_dir};

/// The directories below `root` that match `pattern`, an absolute path with `*`, `?` and `[...]` in its
/// parts, none of which matches a slash. They are sorted. What can't be examined is added to `errors`.
pub fn directories(root: &Path, pattern: &str, errors: &mut Vec<Error>) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    for part in Path::new(pattern).components() {
        let Component::Normal(part) = part else { continue };
        found = found.into_iter().flat_map(|directory| matching(directory, part, errors)).collect();
    }
    found.retain(|path| is_directory(path).unwrap_or_else(|error| note(error, errors)));
    found
}

fn matching(directory: PathBuf, part: &OsStr, errors: &mut Vec<Error>) -> Vec<PathBuf> {
    let text = part.to_str().unwrap_or_default();
    match Pattern::new(text) {
        Ok(pattern) if text.contains(['*', '?', '[']) => {
            listed(&directory, &pattern).unwrap_or_else(|error| note(error, errors))
        }
        _ => vec![directory.join(part)],
    }
}

/// Notes the error, and continues as if there were nothing.
fn note<T: Default>(error: Error, errors: &mut Vec<Error>) -> T {
    errors.push(error);
    T::default()
}

fn listed(directory: &Path, pattern: &Pattern) -> Result<Vec<PathBuf>> {
    let options = MatchOptions::default();
    let entries = match open_dir(CWD, directory, Links::Follow).and_then(Dir::new) {
        Ok(entries) => entries,
        Err(error) => return nothing_or(error, "can't list", directory),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("can't list", directory, error))?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." && pattern.matches_path_with(Path::new(name), options) {
            found.push(directory.join(name));
        }
    }
    found.sort();
    Ok(found)
}

fn is_directory(path: &Path) -> Result<bool> {
    match rustix::fs::stat(path) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        Err(error) => nothing_or(error, "can't examine", path),
    }
}

/// Nothing, where there is nothing or nothing that this user may see. Root may see everything, so for root
/// a refusal is an error.
fn nothing_or<T: Default>(error: Errno, doing: &'static str, path: &Path) -> Result<T> {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Ok(T::default()),
        Errno::ACCESS if !nix::unistd::geteuid().is_root() => Ok(T::default()),
        error => Err(Error::io(doing, path, error)),
    }
}
