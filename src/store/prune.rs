//! Removing indexes from a cache.
//!
//! From the system's cache, it removes indexes that no trigger updates: those of site directories that the
//! configuration does not name any more, or that were not found. Readers would trust them while the directory's stamp
//! stays the same, and a package that is rebuilt does not change that stamp. From a user's own cache, it removes
//! indexes whose site directory is gone.
//!
//! The walk is bounded, since a package transaction waits for it. Where the cache holds more than it can need,
//! indexes may be left that should be removed. Only root and the user `epcache` can fill the system's cache, and they
//! could write such indexes anyway.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::location::{FILE_NAME, Location, SYSTEM_CACHE, USER_CACHE};
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::sys::fs::{Links, open_dir};
use crate::sys::message;
use crate::sys::root::System;

/// The deepest nesting of directories that is searched. Paths of site directories are much shorter, and
/// each level holds a descriptor.
const MAX_DEPTH: usize = 64;

/// The most entries of directories that are read. A site directory takes about eight, so this is enough for
/// a thousand of them, and reading them takes some 20 ms.
const MAX_ENTRIES: usize = 10_000;

/// What was removed from a cache, or would be.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The site directories whose indexes these were.
    pub removed: Vec<PathBuf>,
    /// The first failure. The others were tried all the same.
    pub error: Option<Error>,
}

/// Removes the indexes of all system-wide site directories but `kept`, canonical paths. Other files stay. In a cache
/// of [`MAX_ENTRIES`] entries or more, some indexes may stay, too; the administrator is warned.
pub fn prune(system: &System, kept: &[PathBuf], dry_run: bool) -> Pruned {
    let below = |site: &PathBuf| SYSTEM_CACHE.directory(site, system).map(|(_, below)| below);
    let kept: BTreeSet<PathBuf> = kept.iter().filter_map(below).collect();
    prune_in(&SYSTEM_CACHE, system, &|below| kept.contains(below), dry_run)
}

/// Removes the indexes from the caller's own cache whose site directories are gone.
pub fn prune_own(system: &System, dry_run: bool) -> Pruned {
    // What can't be examined now, such as a directory on a disk that is not mounted, may come back.
    let is_gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let is_kept = |below: &Path| !Path::new("/").join(below).symlink_metadata().is_err_and(is_gone);
    prune_in(&USER_CACHE, system, &is_kept, dry_run)
}

fn prune_in(location: &Location, system: &System, is_kept: &dyn Fn(&Path) -> bool, dry_run: bool) -> Pruned {
    let Some(top) = location.top(system) else { return Pruned::default() };
    let mut walk = Walk { top: &top, is_kept, dry_run, entries_left: MAX_ENTRIES, removed: Vec::new() };
    let opened = location.entry(&top, system).map_err(Errno::from).and_then(|entry| entry.open_dir());
    let result = match opened {
        Ok(directory) => walk.descend(&directory, &mut PathBuf::new(), 0),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(error) => Err(Error::io("can't open", &top, error)),
    };
    if walk.entries_left == 0 {
        message::warn_admin(&size_warning(&top));
    }
    Pruned { removed: walk.removed, error: result.err() }
}

fn size_warning(top: &Path) -> String {
    let directory = shell_quoted(top);
    format!(
        "{}: {MAX_ENTRIES} files and directories or more, so indexes of removed site directories may be left; \
         hint: setpriv --reuid=epcache --regid=epcache --clear-groups --inh-caps=-all \
         find {directory} -mindepth 1 -delete && epcache refresh --system",
        top.display()
    )
}

struct Walk<'w> {
    top: &'w Path,
    /// Whether the index in a directory is kept, by its path below `top`.
    is_kept: &'w dyn Fn(&Path) -> bool,
    dry_run: bool,
    /// How many entries of directories may still be read.
    entries_left: usize,
    /// The site directories whose indexes were removed.
    removed: Vec<PathBuf>,
}

impl Walk<'_> {
    fn descend(&mut self, directory: &OwnedFd, below: &mut PathBuf, depth: usize) -> Result<()> {
        let (top, is_kept) = (self.top, self.is_kept);
        let failed = |doing, error: Errno| Error::io(doing, &top.join(&*below), error);
        let entries = Dir::read_from(directory).map_err(|error| failed("can't list", error))?;
        let mut result = Ok(());
        let mut directories = Vec::new();
        for entry in entries {
            let Some(left) = self.entries_left.checked_sub(1) else { break };
            self.entries_left = left;
            let entry = entry.map_err(|error| failed("can't list", error))?;
            let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
            if entry.file_type() == FileType::Directory {
                if name != Path::new(".") && name != Path::new("..") {
                    directories.push(name.to_owned());
                }
            } else if name == Path::new(FILE_NAME) && !is_kept(below) {
                let removed = match self.dry_run {
                    true => Ok(()),
                    false => rustix::fs::unlinkat(directory, name, AtFlags::empty()),
                };
                match removed {
                    Ok(()) => self.removed.push(Path::new("/").join(&*below)),
                    Err(error) => result = result.and(Err(failed("can't remove the index in", error))),
                }
            }
        }
        for name in directories.into_iter().filter(|_| depth < MAX_DEPTH) {
            if self.entries_left == 0 {
                break;
            }
            let opened = open_dir(directory, &name, Links::Refuse);
            below.push(name);
            let done = match opened {
                Ok(directory) => self.descend(&directory, below, depth + 1),
                Err(error) => Err(Error::io("can't open", &top.join(&*below), error)),
            };
            result = result.and(done);
            below.pop();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::CWD;

    #[test]
    fn the_walk_ends_after_its_bound_and_keeps_what_is_wanted() {
        let place = tempfile::tempdir().expect("a directory");
        let names: Vec<String> = (0..20).map(|number| format!("site{number}")).collect();
        for name in &names {
            std::fs::create_dir(place.path().join(name)).expect("a directory");
            std::fs::write(place.path().join(name).join(FILE_NAME), "").expect("room");
        }
        let kept = BTreeSet::from([PathBuf::from("site7")]);
        let left = || names.iter().filter(|name| place.path().join(name).join(FILE_NAME).exists()).count();
        let is_kept = |below: &Path| kept.contains(below);
        let walk = |entries_left| {
            let directory = open_dir(CWD, place.path(), Links::Refuse).expect("a directory");
            let mut walk = Walk {
                top: place.path(),
                is_kept: &is_kept,
                dry_run: false,
                entries_left,
                removed: Vec::new(),
            };
            walk.descend(&directory, &mut PathBuf::new(), 0).expect("no failure");
            walk.entries_left
        };
        // 22 entries in the top directory, and three in each of the others. Their order is not known.
        assert!(walk(28) == 0 && (17..20).contains(&left()), "{}", left());
        assert!(walk(MAX_ENTRIES) > 0);
        assert!(left() == 1 && place.path().join("site7").join(FILE_NAME).exists());
    }

    #[test]
    fn the_warning_quotes_the_path_for_a_shell() {
        assert!(size_warning(Path::new("/a$(x)")).contains(" find '/a$(x)' -mindepth 1 -delete"));
    }
}
