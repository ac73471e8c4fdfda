//! The directory of one index: locking it, and reading, replacing and removing the index.
//!
//! Everything is done relative to a descriptor of a directory that belongs to this process's user. The lock only
//! avoids duplicate work. A process that waits too long continues without it, and no lock is taken on network file
//! systems, where locking may hang.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, FlockOperation, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::location::{FILE_NAME, Location, SITE, Writer};
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::freshness::Stamp;
use crate::freshness::clock::Clock;
use crate::limits::INDEX_SIZE;
use crate::site::SiteDir;
use crate::sys::caller;
use crate::sys::fs::{self, Links, OpenFile, Readers, Unreadable};
use crate::sys::root::System;

const LOCK: &str = "lock";
/// The journal of hooks, beside the index.
pub const JOURNAL: &str = "hook-journal";
const TEMPORARY: &str = ".index.";
/// How long this process waits for locks in total. A package transaction waits for us.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// How long it sleeps between two attempts. A refresh takes some milliseconds.
const LOCK_POLL: Duration = Duration::from_millis(5);
/// How long this process has waited for locks so far, in ms.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// The directory of one index, open and ours.
#[derive(Debug)]
pub struct IndexDir {
    path: PathBuf,
    location: &'static Location,
    descriptor: OwnedFd,
    lock: Option<Lock>,
}

#[derive(Debug)]
struct Lock {
    file: OwnedFd,
    /// Stamp of the lock file on acquisition. A waiter that times out touches the file, so a change means
    /// that we may not be the only writer.
    stamp: Stamp,
}

impl IndexDir {
    /// Opens the directory for the index of `site`, and makes what is missing of it.
    ///
    /// Fails when it can't be made, is a link, belongs to another user, or others may write to it. In a site
    /// directory, the last is repaired: `chmod -R g=u` is how images for OpenShift are made.
    pub fn open(location: &'static Location, site: &SiteDir, system: &System) -> Result<Self> {
        let no_location =
            || Error::site(site.path(), "no location for its index: neither XDG_CACHE_HOME nor HOME is set");
        let (mut path, below) = location.directory(site.path(), system).ok_or_else(no_location)?;
        let mut descriptor = open_base(location, &path, site, system)
            .map_err(|error| refused(location, system, &path, error))?;
        let stat = check_owner(&descriptor).map_err(|why| refused(location, system, &path, why))?;
        // Its owner decides who else may write to a site directory.
        if !location.is_in_site() {
            check_mode(location, system, &path, &stat)?;
        }
        for part in below.components() {
            let Component::Normal(part) = part else { continue };
            path.push(part);
            descriptor = match fs::make_dir(&descriptor, part, location.readers) {
                Err(error) if location.is_in_site() => {
                    return Err(obstacle(site.path(), system, &path, error));
                }
                made => made.map_err(|error| refused(location, system, &path, error))?,
            };
            let stat = check_owner(&descriptor)
                .map_err(|why| of_another_user(location, site.path(), system, &path, why))?;
            if location.is_in_site() && fs::is_writable_by_others(&stat) {
                take_back(&descriptor, location).map_err(|error| refused(location, system, &path, error))?;
            } else {
                check_mode(location, system, &path, &stat)?;
            }
        }
        Ok(Self { path, location, descriptor, lock: None })
    }

    pub fn index(&self) -> PathBuf {
        self.path.join(FILE_NAME)
    }

    /// Takes the lock if that is possible within a short time, and then removes the temporary files of
    /// killed writers.
    pub fn lock(&mut self) {
        // flock on NFS may hang whatever its flags say.
        if self.location.is_in_image() || Clock::of(self.descriptor.as_fd(), 1) == Clock::Remote {
            return;
        }
        let file = match fs::open_lock(&self.descriptor, LOCK) {
            Ok(file) => file,
            Err(error) => {
                return log::debug!("{}: no lock: {error}", self.path.display());
            }
        };
        let start = Instant::now();
        let waited = Duration::from_millis(WAITED.load(Ordering::Relaxed));
        let left = LOCK_WAIT.saturating_sub(waited);
        while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != Errno::WOULDBLOCK && error != Errno::INTR {
                return;
            }
            if start.elapsed() > left {
                count_waiting(start);
                return self.continue_without(&file);
            }
            std::thread::sleep(LOCK_POLL);
        }
        count_waiting(start);
        self.lock = rustix::fs::fstat(&file).ok().map(|stat| Lock { stamp: Stamp::of(&stat), file });
        // No other process is writing, so all temporary files have been abandoned.
        if let Err(error) = fs::sweep(&self.descriptor, TEMPORARY) {
            log::debug!("{}: can't remove temporary files: {error}", self.path.display());
        }
    }

    /// Touches the lock file, so that the process that holds the lock sees that it is not alone.
    fn continue_without(&self, lock: &OwnedFd) {
        let path = self.path.join(LOCK);
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let now = Timestamps { last_access: now, last_modification: now };
        if let Err(error) = rustix::fs::futimens(lock, &now) {
            log::debug!("{}: can't touch it: {error}", path.display());
        }
        log::warn!(
            "{}: lock held by another process for more than {} s; continuing without it",
            path.display(),
            LOCK_WAIT.as_secs()
        );
    }

    /// Whether no other process can have written here since we took the lock: we hold it, and no other has
    /// timed out and continued without it.
    pub fn is_alone(&self) -> bool {
        let is_untouched =
            |lock: &Lock| rustix::fs::fstat(&lock.file).is_ok_and(|stat| Stamp::of(&stat) == lock.stamp);
        self.lock.as_ref().is_some_and(is_untouched)
    }

    /// The index as it is now. What is no index of ours counts as none, and so does one that others may have
    /// changed.
    pub fn read(&self) -> Result<Option<Vec<u8>>> {
        let is_ours =
            |file: &OpenFile| file.stat.st_uid == caller::uid() && !fs::is_writable_by_others(&file.stat);
        let bytes = match fs::open_file(&self.descriptor, FILE_NAME, Links::Refuse) {
            Ok(file) if !is_ours(&file) => return Ok(None),
            opened => opened.and_then(|file| file.read(INDEX_SIZE)),
        };
        match bytes {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Unreadable::Failed(error)) => Err(Error::io("can't read", &self.index(), error)),
            Err(_) => Ok(None),
        }
    }

    /// The journal of hooks. What others may have changed, or is larger than `limit`, counts as an empty one: as
    /// damaged.
    pub fn read_journal(&self, limit: u64) -> Result<Option<Vec<u8>>> {
        let is_ours =
            |file: &OpenFile| file.stat.st_uid == caller::uid() && !fs::is_writable_by_others(&file.stat);
        let bytes = match fs::open_file(&self.descriptor, JOURNAL, Links::Refuse) {
            Ok(file) if !is_ours(&file) => return Ok(Some(Vec::new())),
            opened => opened.and_then(|file| file.read(limit)),
        };
        match bytes {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Unreadable::Failed(error)) => Err(Error::io("can't read", &self.path.join(JOURNAL), error)),
            Err(Unreadable::Missing) => Ok(None),
            Err(_) => Ok(Some(Vec::new())),
        }
    }

    /// Replaces the journal of hooks, which its owner alone may read.
    pub fn replace_journal(&self, bytes: &[u8]) -> Result<()> {
        fs::replace(&self.descriptor, JOURNAL, bytes, TEMPORARY, None, Readers::Owner)
            .map_err(|error| Error::io("can't write", &self.path.join(JOURNAL), error))
    }

    /// Waits until the journal of hooks is on the disk.
    pub fn sync_journal(&self) -> Result<()> {
        fs::sync(&self.descriptor, JOURNAL)
            .map_err(|error| Error::io("can't write", &self.path.join(JOURNAL), error))
    }

    /// The mtime of the index in whole seconds.
    pub fn modified(&self) -> Option<i64> {
        let stat = rustix::fs::statat(&self.descriptor, FILE_NAME, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(Stamp::of(&stat).mtime_seconds())
    }

    /// Replaces the index by `bytes`. Its mtime becomes `modified`, in seconds, if given.
    ///
    /// If that fails, the old index stays as it is.
    pub fn replace(&self, bytes: &[u8], modified: Option<i64>) -> Result<()> {
        fs::replace(&self.descriptor, FILE_NAME, bytes, TEMPORARY, modified, self.location.readers)
            .map_err(|error| Error::io("can't write", &self.index(), error))
    }

    /// Removes the index, or truncates it where the directory does not let us.
    pub fn discard(&self) -> Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, FILE_NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => fs::truncate(&self.descriptor, FILE_NAME)
                .map_err(|_| Error::io("can't remove", &self.index(), error)),
        }
    }
}

fn count_waiting(start: Instant) {
    let waited = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    WAITED.fetch_add(waited, Ordering::Relaxed);
}

/// Makes the caller's own cache directory, which need not exist beforehand. A confined process can't: it has no
/// right on the directories above.
pub fn make_base(location: &Location, site: &Path, system: &System) -> io::Result<()> {
    match location.directory(site, system) {
        Some((base, _)) if location.writer == Writer::Caller => {
            #[allow(clippy::useless_conversion)] // Its type differs between systems.
            let mode = location.readers.directory_mode().as_raw_mode().into();
            std::fs::DirBuilder::new().recursive(true).mode(mode).create(base)
        }
        _ => Ok(()),
    }
}

/// Opens the part of the path that exists beforehand.
fn open_base(location: &Location, path: &Path, site: &SiteDir, system: &System) -> io::Result<OwnedFd> {
    if location.is_in_site() {
        // The path may lead to another directory by now than the one that is read.
        return site.as_fd().try_clone_to_owned();
    }
    make_base(location, site.path(), system)?;
    Ok(location.entry(path, system)?.open_dir()?)
}

/// Every directory on the way must be ours: another owner means that it was exchanged since the user to
/// work as was chosen.
fn check_owner(directory: &OwnedFd) -> std::result::Result<Stat, String> {
    let stat = rustix::fs::fstat(directory).map_err(|error| error.to_string())?;
    match stat.st_uid == caller::uid() {
        true => Ok(stat),
        false => Err(format!("belongs to another user ({})", stat.st_uid)),
    }
}

/// Lets nobody but us write to the directory again. What is in it may be the work of others, so it is made anew.
fn take_back(directory: &OwnedFd, location: &Location) -> std::result::Result<(), Errno> {
    rustix::fs::fchmod(directory, location.readers.directory_mode())?;
    for name in [FILE_NAME, LOCK, JOURNAL] {
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What is in the way of the index directory in a site directory.
fn obstacle(site: &Path, system: &System, path: &Path, error: Errno) -> Error {
    let found = system.entry(path, Links::Refuse).map_err(Errno::from).and_then(|entry| entry.stat());
    let Ok(stat) = found else { return refused(&SITE, system, path, error) };
    let why = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => "is a symbolic link, which is not followed",
        FileType::Directory => return refused(&SITE, system, path, error),
        _ => "is not a directory",
    };
    let (path_word, site_word) = (shell_quoted(path), shell_quoted(site));
    let hint = format!("rm {path_word} && epcache refresh {site_word}");
    Error::Unusable { path: path.to_owned(), why: why.to_owned(), hint: Some(hint) }
}

/// A directory of another user, which the owner of a site directory can move out of the way.
fn of_another_user(location: &Location, site: &Path, system: &System, path: &Path, why: String) -> Error {
    if !location.is_in_site() {
        return refused(location, system, path, why);
    }
    let old = path.with_extension("old");
    let (from, to, site) = (shell_quoted(path), shell_quoted(&old), shell_quoted(site));
    let hint = format!("mv {from} {to} && epcache refresh {site}");
    Error::Unusable { path: path.to_owned(), why, hint: Some(hint) }
}

/// Readers trust an index only if no other user can write to its directory.
fn check_mode(location: &Location, system: &System, path: &Path, stat: &Stat) -> Result<()> {
    if fs::is_writable_by_others(stat) {
        return Err(refused(location, system, path, "can be written to by others"));
    }
    Ok(())
}

fn refused(location: &Location, system: &System, path: &Path, why: impl ToString) -> Error {
    let hint = match location.hint {
        // Made by path from here, the directory could be outside of the tree.
        Some(_) if system.is_foreign() && !location.is_in_image() => {
            format!("systemd-tmpfiles --root={} --create epcache.conf", shell_quoted(system.root()))
        }
        Some(commands) => commands.to_owned(),
        None => format!("check the owner of {}, then run epcache refresh again", shell_quoted(path)),
    };
    Error::Unusable { path: path.to_owned(), why: why.to_string(), hint: Some(hint) }
}
