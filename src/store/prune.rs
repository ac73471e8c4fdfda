//! Removing indexes from the system's cache that no trigger updates: of site directories that the
//! configuration does not name any more, or that were not found.
//!
//! Readers would trust them as long as the directory's stamp stays the same. A package that is rebuilt does
//! not change that stamp.
//!
//! The walk is bounded, since a package transaction waits for it. Where the cache holds more than it can need,
//! indexes may be left that should be removed. Only the user `epcache` or root can have filled it, and what they
//! could leave that way they could write as well.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::location::{FILE_NAME, SYSTEM_CACHE};
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

/// Removes the indexes of all site directories but `kept`, canonical paths. Other files stay. In a cache
/// of [`MAX_ENTRIES`] entries or more, some indexes may stay, too; the administrator is warned.
///
/// After a failure it continues, and returns the first one.
pub fn prune(system: &System, kept: &[PathBuf]) -> Result<()> {
    let Some(top) = SYSTEM_CACHE.top(system) else { return Ok(()) };
    let below = |site: &PathBuf| SYSTEM_CACHE.directory(site, system).map(|(_, below)| below);
    let kept: BTreeSet<PathBuf> = kept.iter().filter_map(below).collect();
    match SYSTEM_CACHE.entry(&top, system).map_err(Errno::from).and_then(|entry| entry.open_dir()) {
        Ok(directory) => {
            let mut walk = Walk { top: &top, kept: &kept, entries_left: MAX_ENTRIES };
            let result = walk.descend(&directory, &mut PathBuf::new(), 0);
            if walk.entries_left == 0 {
                message::warn_admin(&size_warning(&top));
            }
            result
        }
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(error) => Err(Error::io("can't open", &top, error)),
    }
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
    /// Paths below `top` of the directories whose index is kept.
    kept: &'w BTreeSet<PathBuf>,
    /// How many entries of directories may still be read.
    entries_left: usize,
}

impl Walk<'_> {
    fn descend(&mut self, directory: &OwnedFd, below: &mut PathBuf, depth: usize) -> Result<()> {
        let (top, kept) = (self.top, self.kept);
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
            } else if name == Path::new(FILE_NAME) && !kept.contains(below) {
                let removed = rustix::fs::unlinkat(directory, name, AtFlags::empty());
                result = result.and(removed.map_err(|error| failed("can't remove the index in", error)));
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
        let walk = |entries_left| {
            let directory = open_dir(CWD, place.path(), Links::Refuse).expect("a directory");
            let mut walk = Walk { top: place.path(), kept: &kept, entries_left };
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
