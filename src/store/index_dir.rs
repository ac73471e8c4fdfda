//! Putting an index in its place, so that a reader sees the old one or the new one and nothing else.
//!
//! All work is done relative to a descriptor of a directory that has been found to belong to us.
//! `lock` in it saves double work and is only an optimisation: it is waited for a little and then
//! done without, and never taken where a lock may hang (network file systems).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::location::{FILE_NAME, Place};
use crate::error::{Error, Result};
use crate::freshness::Stamp;
use crate::freshness::clock::Clock;
use crate::index::MAX_INDEX;
use crate::site::SiteDir;
use crate::sys::root::System;

const LOCK: &str = "lock";
/// What the names of temporary files begin with.
const TEMPORARY: &str = ".index.";
/// How long we wait for locks that other processes hold, all of them together. A package transaction
/// waits for us.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long this process has waited so far, in ms.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// The directory of one index, open and ours.
#[derive(Debug)]
pub struct IndexDir {
    path: PathBuf,
    descriptor: OwnedFd,
    lock: Option<Lock>,
}

/// The lock, while we hold it.
#[derive(Debug)]
struct Lock {
    file: OwnedFd,
    /// The file's stamp when we got it. Who loses patience moves it.
    stamp: Stamp,
}

impl IndexDir {
    /// Opens the directory for the index of `site`, making what is missing of it.
    ///
    /// # Errors
    /// When it can't be made, is a link, or somebody else may write to it.
    pub fn open(place: Place, site: &SiteDir, system: &System) -> Result<Self> {
        let no_place =
            || Error::site(site.path(), "no place for its index: neither XDG_CACHE_HOME nor HOME is set");
        let (base, below) = place.directory(site.path(), system).ok_or_else(no_place)?;
        let mut path = base;
        let mut descriptor = match place {
            // What the path leads to now may be another directory than the one that is read.
            Place::Sidecar => site.as_fd().try_clone_to_owned(),
            Place::System => open_directory(rustix::fs::CWD, &path, OFlags::NOFOLLOW),
            Place::User => std::fs::create_dir_all(&path)
                .and_then(|()| open_directory(rustix::fs::CWD, &path, OFlags::NOFOLLOW)),
        }
        .map_err(|error| refused(place, &path, error))?;
        let stat = check_owner(place, &path, descriptor.as_fd())?;
        if place != Place::Sidecar {
            check_mode(place, &path, &stat)?;
        }
        for part in below.components() {
            let Component::Normal(part) = part else { continue };
            path.push(part);
            descriptor =
                descend(descriptor.as_fd(), Path::new(part)).map_err(|error| refused(place, &path, error))?;
            let stat = check_owner(place, &path, descriptor.as_fd())?;
            check_mode(place, &path, &stat)?;
        }
        Ok(Self { path, descriptor, lock: None })
    }

    /// The path of the index.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.path.join(FILE_NAME)
    }

    /// Takes the lock if that is possible within a short time, and then clears away what a writer
    /// that was killed has left.
    pub fn lock(&mut self) {
        let file = match self.open_lock() {
            Ok(Some(file)) => file,
            Ok(None) => return,
            Err(error) => return log::debug!("{}: no lock: {error}", self.path.display()),
        };
        let start = Instant::now();
        let patience = PATIENCE.saturating_sub(Duration::from_millis(WAITED.load(Ordering::Relaxed)));
        while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != Errno::WOULDBLOCK && error != Errno::INTR {
                return;
            }
            if start.elapsed() > patience {
                count_waiting(start);
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let now = Timestamps { last_access: now, last_modification: now };
                if let Err(error) = rustix::fs::futimens(&file, &now) {
                    log::debug!("{}: can't be touched: {error}", self.path.join(LOCK).display());
                }
                log::warn!(
                    "{}: locked by another process for long; going on without",
                    self.path.join(LOCK).display()
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        count_waiting(start);
        self.lock = rustix::fs::fstat(&file).ok().map(|stat| Lock { stamp: Stamp::of(&stat), file });
        if let Err(error) = self.sweep() {
            log::debug!("{}: can't clear away temporary files: {error}", self.path.display());
        }
    }

    fn open_lock(&self) -> io::Result<Option<OwnedFd>> {
        // flock on NFS may hang whatever its flags say.
        if Clock::of(self.descriptor.as_fd(), 1) == Clock::Remote {
            return Ok(None);
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(Some(rustix::fs::openat(&self.descriptor, LOCK, flags, Mode::from_raw_mode(0o644))?))
    }

    /// Removes temporary files. Only for who holds the lock: all of them are forsaken then.
    fn sweep(&self) -> io::Result<()> {
        for entry in Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            if entry.file_name().to_bytes().starts_with(TEMPORARY.as_bytes()) {
                rustix::fs::unlinkat(&self.descriptor, entry.file_name(), AtFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Whether nobody else can have written here since we asked for the lock: we hold it, and nobody
    /// has lost patience meanwhile and gone on without.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        let unmoved =
            |lock: &Lock| rustix::fs::fstat(&lock.file).is_ok_and(|stat| Stamp::of(&stat) == lock.stamp);
        self.lock.as_ref().is_some_and(unmoved)
    }

    /// The index as it is now. That it is ours has been seen to when the directory was opened.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self) -> Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.descriptor, FILE_NAME, flags, Mode::empty()) {
            Ok(file) => std::fs::File::from(file),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(Error::io("can't open", &self.index(), error.into())),
        };
        let failed = |error| Error::io("can't read", &self.index(), error);
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() || meta.len() > MAX_INDEX || meta.uid() != nix::unistd::geteuid().as_raw() {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
        file.take(MAX_INDEX).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// When the index was last changed, in seconds.
    #[must_use]
    pub fn modified(&self) -> Option<i64> {
        let stat = rustix::fs::statat(&self.descriptor, FILE_NAME, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(Stamp::of(&stat).mtime.div_euclid(1_000_000_000))
    }

    /// Replaces the index by `bytes`. The new file is given the time `modified`, in seconds, if there is one.
    ///
    /// # Errors
    /// When they can't be written. The old index is as it was then.
    pub fn replace(&self, bytes: &[u8], modified: Option<i64>) -> Result<()> {
        // Another process may have our number, in a container of its own.
        let moment = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let temporary = format!("{TEMPORARY}{}.{}{:09}", std::process::id(), moment.tv_sec, moment.tv_nsec);
        let written = self.write(&temporary, bytes, modified).and_then(|()| {
            Ok(rustix::fs::renameat(&self.descriptor, &temporary, &self.descriptor, FILE_NAME)?)
        });
        written.map_err(|error| {
            let _ = rustix::fs::unlinkat(&self.descriptor, &temporary, AtFlags::empty());
            Error::io("can't write", &self.index(), error)
        })
    }

    fn write(&self, name: &str, bytes: &[u8], modified: Option<i64>) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let file = rustix::fs::openat(&self.descriptor, name, flags, mode)?;
        // Readable by all, whatever the umask.
        rustix::fs::fchmod(&file, mode)?;
        let mut file = std::fs::File::from(file);
        file.write_all(bytes)?;
        if let Some(seconds) = modified {
            let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
            rustix::fs::futimens(&file, &Timestamps { last_access: time, last_modification: time })?;
        }
        Ok(())
    }

    /// Removes the index, or makes it unusable where the directory does not let us.
    ///
    /// # Errors
    /// When neither is possible.
    pub fn discard(&self) -> Result<()> {
        let failed = |error: Errno| Error::io("can't remove", &self.index(), error.into());
        match rustix::fs::unlinkat(&self.descriptor, FILE_NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => {
                let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&self.descriptor, FILE_NAME, flags, Mode::empty())
                    .map(drop)
                    .map_err(|_| failed(error))
            }
        }
    }
}

fn count_waiting(start: Instant) {
    let waited = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    WAITED.fetch_add(waited, Ordering::Relaxed);
}

fn open_directory(base: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(
        base,
        path,
        flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Opens `name` in `directory`, makes it if need be, and never follows it elsewhere.
fn descend(directory: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
    match open_directory(directory, name, OFlags::NOFOLLOW) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => open_directory(directory, name, OFlags::NOFOLLOW),
                Err(error) => Err(error.into()),
            }
        }
        opened => opened,
    }
}

/// Everything is written by the owner of the directory that it is written to: otherwise somebody has put
/// another one in its place since it was decided as whom to work.
fn check_owner(place: Place, path: &Path, directory: BorrowedFd<'_>) -> Result<Stat> {
    let stat = rustix::fs::fstat(directory).map_err(|error| refused(place, path, error.into()))?;
    if stat.st_uid == nix::unistd::geteuid().as_raw() {
        return Ok(stat);
    }
    Err(refused(place, path, io::Error::other(format!("belongs to another user ({})", stat.st_uid))))
}

/// An index is only believed when its directory, too, is beyond everybody else's reach.
fn check_mode(place: Place, path: &Path, stat: &Stat) -> Result<()> {
    if stat.st_mode & 0o022 == 0 {
        return Ok(());
    }
    Err(refused(place, path, io::Error::other("can be written to by others")))
}

fn refused(place: Place, path: &Path, error: io::Error) -> Error {
    let hint = match place {
        Place::System => {
            "systemd-tmpfiles --create epcache.conf, or install -d -o epcache -g epcache /var/cache/epcache"
                .to_owned()
        }
        _ => format!("look at who owns {}, then run epcache refresh again", path.display()),
    };
    Error::CacheDirectory { path: path.to_owned(), why: error.to_string(), hint }
}
