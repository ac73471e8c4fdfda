//! All access to the file system: every file that this program reads or writes is opened here, and every
//! directory that it works in.
//!
//! Site directories and caches belong to other users, who may put anything there. These rules hold for
//! everything that is opened:
//!
//! * Paths are relative to the descriptor of a directory that has been checked, so that nobody can exchange
//!   a directory on the way. [`CWD`] stands for an absolute path. Those of another system's tree are looked up
//!   by `sys::walk`, which never leaves it.
//! * A symbolic link as the last part is refused, unless the caller asks for [`Links::Follow`].
//! * Only regular files are read, and only up to a limit. Opening never waits: a FIFO without a writer opens
//!   at once (`O_NONBLOCK`) and is then refused. A terminal does not become the controlling one (`O_NOCTTY`).
//! * No descriptor reaches a program that we start (`O_CLOEXEC`).
//! * A file is replaced as a whole ([`replace`]), so that others see the old one or the new one.
//!
//! There are these exceptions: the confinement of processes (`privilege::sandbox`) opens directories for its rules,
//! `std::fs::read_dir` lists a directory of an interpreter's prefix, and the supervisor of hooks
//! (`privilege::supervisor`) makes a file in memory and a temporary directory.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, StatVfsMountFlags, Timespec, Timestamps};
use rustix::io::Errno;
use rustix::path::Arg;

pub use rustix::fs::CWD;

/// The most entries of a directory in which temporary files are searched. A refresh waits for this, and others
/// may have filled the directory: reading so many takes some 50 ms.
const MAX_SWEPT: usize = 100_000;
/// Only writers take the lock.
const LOCK_MODE: Mode = Mode::from_raw_mode(0o600);

/// Who may read the files and directories that are made. Only their owner may write to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Every user, since the programs of every user read an index.
    Everybody,
    /// The owner alone, as in a user's own cache.
    Owner,
}

impl Readers {
    pub fn directory_mode(self) -> Mode {
        Mode::from_raw_mode(if self == Self::Everybody { 0o755 } else { 0o700 })
    }

    fn file_mode(self) -> Mode {
        Mode::from_raw_mode(if self == Self::Everybody { 0o644 } else { 0o600 })
    }
}

/// What to do about a symbolic link as the last part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Fail: what the link leads to can change unseen, and may be another user's secret.
    Refuse,
    /// Follow it, as Python does. For paths that were checked, and for what the caller may read anyway.
    Follow,
}

impl Links {
    fn open_flags(self) -> OFlags {
        match self {
            Self::Refuse => OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Self::Follow => OFlags::CLOEXEC,
        }
    }
}

/// Opens the directory `path`, seen from the directory `at`.
///
/// Everything else gives `NOTDIR`, a refused link included.
pub fn open_dir(at: impl AsFd, path: impl Arg, links: Links) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | links.open_flags();
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// To examine something without the right to read it.
#[cfg(not(target_vendor = "apple"))]
const EXAMINING: OFlags = OFlags::PATH;
/// macOS has no such flag.
#[cfg(target_vendor = "apple")]
const EXAMINING: OFlags = OFlags::NONBLOCK;
/// To open a link itself.
#[cfg(not(target_vendor = "apple"))]
const LINK: OFlags = OFlags::NOFOLLOW;
#[cfg(target_vendor = "apple")]
const LINK: OFlags = OFlags::from_bits_retain(libc::O_SYMLINK as u32);

/// Opens the directory `path` for looking things up below it, and for nothing else.
pub fn reach_dir(at: impl AsFd, path: impl Arg, links: Links) -> Result<OwnedFd, Errno> {
    let flags = EXAMINING | OFlags::DIRECTORY | links.open_flags();
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// Opens `path`, whatever it is, for examining it and for nothing else.
pub fn reach(at: impl AsFd, path: impl Arg, links: Links) -> Result<OwnedFd, Errno> {
    let link = if links == Links::Refuse { LINK } else { OFlags::empty() };
    rustix::fs::openat(at, path, EXAMINING | OFlags::CLOEXEC | link, Mode::empty())
}

/// The text of the open `link`, which is `name` in the directory `at`.
pub fn read_link(at: BorrowedFd<'_>, name: &OsStr, link: BorrowedFd<'_>) -> Result<CString, Errno> {
    // Only macOS can't read it by its descriptor.
    let (at, name) = if cfg!(target_vendor = "apple") { (at, name) } else { (link, OsStr::new("")) };
    rustix::fs::readlinkat(at, name, Vec::new())
}

/// Opens the directory `name` in `at`, and makes it where there is none. Never follows a link.
pub fn make_dir(at: impl AsFd, name: impl Arg + Copy, readers: Readers) -> Result<OwnedFd, Errno> {
    match open_dir(&at, name, Links::Refuse) {
        Err(Errno::NOENT) => match rustix::fs::mkdirat(&at, name, readers.directory_mode()) {
            Ok(()) | Err(Errno::EXIST) => open_dir(&at, name, Links::Refuse),
            Err(error) => Err(error),
        },
        opened => opened,
    }
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// There is none, or a directory on the way is none.
    Missing,
    Link,
    /// A directory, FIFO, socket or device.
    NotRegular,
    TooLarge {
        size: u64,
        limit: u64,
    },
    Failed(Errno),
}

impl From<Errno> for Unreadable {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR => Self::Missing,
            Errno::LOOP => Self::Link,
            // A socket, or a device without a driver.
            Errno::NXIO => Self::NotRegular,
            error => Self::Failed(error),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist"),
            Self::Link => f.write_str("a symbolic link"),
            Self::NotRegular => f.write_str("not a regular file"),
            Self::TooLarge { size, limit } => write!(f, "{size} bytes, more than the {limit} that are read"),
            Self::Failed(error) => io::Error::from(*error).fmt(f),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<Unreadable> for io::Error {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Missing => Errno::NOENT.into(),
            Unreadable::Failed(error) => error.into(),
            other => Self::other(other),
        }
    }
}

/// An open file of any kind. Only [`OpenFile::read`] finds out whether it is a regular one.
#[derive(Debug)]
pub struct OpenFile {
    descriptor: OwnedFd,
    /// `fstat` from right after the file was opened.
    pub stat: Stat,
}

/// Opens the file `path`, seen from the directory `at`.
///
/// A caller that must check an owner or a mode does so with `stat` before reading.
pub fn open_file(at: impl AsFd, path: impl Arg, links: Links) -> Result<OpenFile, Unreadable> {
    OpenFile::new(rustix::fs::openat(at, path, READING | links.open_flags(), Mode::empty())?)
}

/// Opens the file `path` some levels below the directory `at` in one step, refusing links on the way too.
///
/// It always fails on kernels before 5.6, and where a filter of system calls refuses `openat2`.
pub fn open_file_beneath(at: impl AsFd, path: impl Arg) -> Result<OpenFile, Unreadable> {
    OpenFile::new(open_beneath(at, path, READING | Links::Refuse.open_flags(), Links::Refuse)?)
}

/// `openat2`, which is not called again once it is missing: it would be for each file.
#[cfg(target_os = "linux")]
fn open_beneath(at: impl AsFd, path: impl Arg, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::ResolveFlags;

    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    if IS_MISSING.load(Ordering::Relaxed) {
        return Err(Errno::NOSYS);
    }
    let resolve = match links {
        Links::Refuse => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        Links::Follow => ResolveFlags::BENEATH,
    };
    let opened = rustix::fs::openat2(at, path, flags, Mode::empty(), resolve);
    IS_MISSING.store(opened.as_ref().is_err_and(|error| *error == Errno::NOSYS), Ordering::Relaxed);
    opened
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(_: impl AsFd, _: impl Arg, _: OFlags, _: Links) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

const READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl OpenFile {
    fn new(descriptor: OwnedFd) -> Result<Self, Unreadable> {
        let stat = rustix::fs::fstat(&descriptor)?;
        Ok(Self { descriptor, stat })
    }

    /// Reads a regular file of at most `limit` bytes. A file that shrinks meanwhile gives fewer bytes than
    /// `stat` says; one that grows is cut off there.
    pub fn read(&self, limit: u64) -> Result<Vec<u8>, Unreadable> {
        self.read_over(Vec::new(), limit)
    }

    /// The same, into memory whose content is not needed any more.
    pub fn read_over(&self, memory: Vec<u8>, limit: u64) -> Result<Vec<u8>, Unreadable> {
        if FileType::from_raw_mode(self.stat.st_mode) != FileType::RegularFile {
            return Err(Unreadable::NotRegular);
        }
        let size = u64::try_from(self.stat.st_size).map_err(|_| Errno::FBIG)?;
        if size > limit {
            return Err(Unreadable::TooLarge { size, limit });
        }
        let size = usize::try_from(size).map_err(|_| Errno::FBIG)?;
        let mut bytes = if memory.capacity() < size { vec![0; size] } else { memory };
        bytes.resize(size, 0);
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::read(&self.descriptor, &mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(Unreadable::Failed(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Reads the regular file `path`, which is no link and has at most `limit` bytes. Also returns its `stat`.
pub fn read_regular(at: impl AsFd, path: impl Arg, limit: u64) -> Result<(Vec<u8>, Stat), Unreadable> {
    let file = open_file(at, path, Links::Refuse)?;
    Ok((file.read(limit)?, file.stat))
}

/// Reads a file below `/proc`, up to a page: its `stat` does not give its size.
pub fn read_of_kernel(path: &str) -> io::Result<String> {
    let file = rustix::fs::open(path, READING | Links::Refuse.open_flags(), Mode::empty())?;
    let mut text = Vec::with_capacity(4096);
    std::fs::File::from(file).take(4096).read_to_end(&mut text)?;
    // The name of a program need not be UTF-8.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether `path` leads to something below the directory `at`, never leaving it.
///
/// The error is `NOENT` or `NOTDIR` where it leads to nothing; `LOOP` for a link that is refused or, on
/// kernels before 5.6, can't be followed safely; `XDEV` for a path that leads out of `at`.
pub fn find_beneath(at: impl AsFd, path: &str, links: Links) -> Result<(), Errno> {
    match open_beneath(&at, path, EXAMINING | OFlags::CLOEXEC, links) {
        // Kernels before 5.6, and filters of system calls that don't know this one.
        Err(Errno::NOSYS | Errno::PERM) => walk(at.as_fd(), path),
        found => found.map(drop),
    }
}

/// [`find_beneath`] without `openat2`: opens one part after the other. It gives up at the first link
/// (`LOOP`) and at `..` (`XDEV`), since it does not know where they lead.
fn walk(at: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    if path.starts_with('/') {
        return Err(Errno::XDEV);
    }
    let mut reached: Option<OwnedFd> = None;
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            return Err(Errno::XDEV);
        }
        let parent = reached.as_ref().map_or(at, AsFd::as_fd);
        let next = reach(parent, part, Links::Refuse)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        reached = Some(next);
    }
    Ok(())
}

/// Puts a file with these bytes in the place of `name` in `directory`, for these `readers` whatever the umask.
///
/// It is written beside it under a temporary name that begins with `prefix`, and renamed: a confined
/// process may not move files between directories. `mtime`, in seconds, becomes its time, if given.
///
/// If that fails, the old file stays as it is, and the temporary one is removed.
pub fn replace(
    directory: impl AsFd,
    name: impl Arg,
    bytes: &[u8],
    prefix: &str,
    mtime: Option<i64>,
    readers: Readers,
) -> io::Result<()> {
    // Another process may have our number, in a container of its own.
    let moment = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let temporary = format!("{prefix}{}.{}{:09}", std::process::id(), moment.tv_sec, moment.tv_nsec);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | Links::Refuse.open_flags();
    let file = rustix::fs::openat(&directory, &*temporary, flags, readers.file_mode())?;
    rustix::fs::fchmod(&file, readers.file_mode())
        .map_err(io::Error::from)
        .and_then(|()| write(file, bytes, mtime))
        .and_then(|()| Ok(rustix::fs::renameat(&directory, &*temporary, &directory, name)?))
        .inspect_err(|_| {
            let _ = rustix::fs::unlinkat(&directory, &*temporary, AtFlags::empty());
        })
}

fn write(file: OwnedFd, bytes: &[u8], mtime: Option<i64>) -> io::Result<()> {
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    if let Some(seconds) = mtime {
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        rustix::fs::futimens(&file, &Timestamps { last_access: time, last_modification: time })?;
    }
    Ok(())
}

/// Waits until the file `name` in `directory`, and its name, are on the disk.
pub fn sync(directory: impl AsFd, name: impl Arg) -> Result<(), Errno> {
    let file = rustix::fs::openat(&directory, name, READING | Links::Refuse.open_flags(), Mode::empty())?;
    rustix::fs::fsync(&file)?;
    rustix::fs::fsync(directory)
}

/// Removes the temporary files of killed processes from `directory`. Returns whether there were any.
///
/// Only for a caller that knows of no other process that is writing there now. In a directory of more than
/// [`MAX_SWEPT`] entries, some may stay.
pub fn sweep(directory: impl AsFd, prefix: &str) -> io::Result<bool> {
    let mut found = false;
    for entry in Dir::read_from(&directory)?.take(MAX_SWEPT) {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(prefix.as_bytes()) {
            rustix::fs::unlinkat(&directory, entry.file_name(), AtFlags::empty())?;
            found = true;
        }
    }
    Ok(found)
}

/// Whether the file system at `path` is read-only, or that of the nearest directory above it.
pub fn is_read_only(path: &Path) -> bool {
    let found = path.ancestors().find_map(|place| rustix::fs::statvfs(place).ok());
    found.is_some_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether users other than the owner may write to a file or directory.
pub fn is_writable_by_others(stat: &Stat) -> bool {
    stat.st_mode & 0o022 != 0
}

/// Whether users may write to a file in `directory` who could not replace everything in that directory as well.
pub fn is_writable_by_more(file: &Stat, directory: &Stat) -> bool {
    let is_sticky = directory.st_mode & 0o1000 != 0;
    let may_all =
        |file_bit, bits| file.st_mode & file_bit == 0 || !is_sticky && directory.st_mode & bits == bits;
    let is_same_group = file.st_mode & 0o020 == 0 || file.st_gid == directory.st_gid;
    !(is_same_group && may_all(0o020, 0o030) && may_all(0o002, 0o003))
}

/// Opens the lock file `name` in `directory`, made where there is none. Nobody but its owner may open it:
/// others could hold the lock.
pub fn open_lock(directory: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | Links::Refuse.open_flags();
    let lock = rustix::fs::openat(directory, name, flags, LOCK_MODE)?;
    let stat = rustix::fs::fstat(&lock)?;
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if is_ours && Mode::from_raw_mode(stat.st_mode) != LOCK_MODE {
        rustix::fs::fchmod(&lock, LOCK_MODE)?;
    }
    Ok(lock)
}

/// Makes the file `name` in `directory` an empty one, where the directory does not let us remove it.
pub fn truncate(directory: impl AsFd, name: impl Arg) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NONBLOCK | Links::Refuse.open_flags();
    rustix::fs::openat(directory, name, flags, Mode::empty()).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    /// A directory with a file of six bytes, a link to it, and one thing of each kind that is no file.
    fn directory() -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        std::fs::write(at("file"), "sixsix").expect("a file");
        std::fs::create_dir(at("directory")).expect("a directory");
        symlink("file", at("link")).expect("a link");
        symlink("directory", at("link-to-directory")).expect("a link");
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        UnixListener::bind(at("socket")).expect("a socket");
        place
    }

    fn open(place: &Path) -> OwnedFd {
        open_dir(CWD, place, Links::Refuse).expect("a directory")
    }

    #[test]
    fn only_the_owner_of_a_lock_can_open_it() {
        let place = tempfile::tempdir().expect("a directory");
        let mode = || std::fs::metadata(place.path().join("lock")).expect("a lock").mode() & 0o7777;
        let directory = open(place.path());
        open_lock(&directory, "lock").expect("a lock");
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(place.path().join("lock"), Permissions::from_mode(0o644)).expect("ours");
        open_lock(&directory, "lock").expect("a lock");
        assert_eq!(mode(), 0o600, "made by an older version");
    }

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let place = directory();
        let site = open(place.path());
        let read = |name: &str, limit| read_regular(&site, name, limit).map(|(bytes, _)| bytes);
        assert_eq!(read("file", 6), Ok(b"sixsix".to_vec()));
        assert_eq!(read("file", 5), Err(Unreadable::TooLarge { size: 6, limit: 5 }));
        assert_eq!(read("none", 6), Err(Unreadable::Missing));
        assert_eq!(read("file/none", 6), Err(Unreadable::Missing));
        assert_eq!(read("link", 6), Err(Unreadable::Link));
        for name in ["directory", "fifo", "socket"] {
            assert_eq!(read(name, 6), Err(Unreadable::NotRegular), "{name}");
        }
        let followed = open_file(&site, "link", Links::Follow).and_then(|file| file.read(6));
        assert_eq!(followed, Ok(b"sixsix".to_vec()));
    }

    #[test]
    fn a_file_that_shrinks_or_grows_after_it_was_opened_gives_at_most_its_first_size() {
        for (text, expected) in [("six", "six"), ("sixsixsix", "sixsix")] {
            let place = directory();
            let file = open_file(open(place.path()), "file", Links::Refuse).expect("a file");
            std::fs::write(place.path().join("file"), text).expect("a file");
            assert_eq!(file.read(6), Ok(expected.into()), "{text}");
        }
    }

    #[test]
    fn a_link_to_a_directory_is_opened_only_on_request() {
        let place = directory();
        let site = open(place.path());
        assert!(open_dir(&site, "directory", Links::Refuse).is_ok());
        assert!(open_dir(&site, "link-to-directory", Links::Follow).is_ok());
        for name in ["link-to-directory", "file", "fifo"] {
            assert_eq!(open_dir(&site, name, Links::Refuse).map(drop), Err(Errno::NOTDIR), "{name}");
            assert!(make_dir(&site, name, Readers::Everybody).is_err(), "{name}");
        }
        assert!(make_dir(&site, "new", Readers::Everybody).is_ok());
        assert!(make_dir(&site, "new", Readers::Everybody).is_ok());
    }

    #[test]
    fn a_replaced_file_is_complete_and_has_the_time_given() {
        let place = directory();
        let site = open(place.path());
        let (all, owner) = ((Readers::Everybody, 0o644), (Readers::Owner, 0o600));
        for (name, mtime, (readers, mode)) in
            [("file", Some(1_000_000_000), all), ("link", None, owner), ("new", Some(7), owner)]
        {
            replace(&site, name, b"new", ".temporary.", mtime, readers).expect("a new file");
            let meta = place.path().join(name).symlink_metadata().expect("a file");
            assert!(meta.is_file() && meta.mode() & 0o777 == mode, "{name}");
            assert!(mtime.is_none_or(|mtime| meta.mtime() == mtime), "{name}");
            assert_eq!(std::fs::read(place.path().join(name)).expect("a file"), b"new");
        }
        assert!(!sweep(&site, ".temporary.").expect("a listing"), "something was left");
    }

    #[test]
    fn a_failed_replacement_leaves_nothing_behind() {
        let place = directory();
        let site = open(place.path());
        assert!(replace(&site, "directory", b"new", ".temporary.", None, Readers::Owner).is_err());
        assert!(!sweep(&site, ".temporary.").expect("a listing"));
    }

    #[test]
    fn only_files_with_the_prefix_are_swept_away() {
        let place = directory();
        let site = open(place.path());
        std::fs::write(place.path().join(".temporary.1"), "").expect("a file");
        assert!(sweep(&site, ".temporary.").expect("a listing"));
        assert!(!place.path().join(".temporary.1").exists());
        assert!(place.path().join("file").exists());
    }

    #[test]
    fn old_kernels_give_the_same_results_unless_there_are_links() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir_all(at("a/b")).expect("a directory");
        std::fs::write(at("a/b/file"), "").expect("a file");
        symlink("a", at("link")).expect("a link");
        symlink("../../..", at("a/out")).expect("a link");
        let site = open(place.path());
        let newer =
            |path: &str| open_beneath(&site, path, OFlags::PATH | OFlags::CLOEXEC, Links::Refuse).map(drop);
        let plain = ["a", "a/b", "a/b/file", "a//b/./file", "no", "a/no", "a/b/file/no", "no/no", "/etc"];
        for path in plain.into_iter().chain(["link", "link/b", "a/out", "a/out/etc", "a/no/out"]) {
            assert_eq!(walk(site.as_fd(), path), newer(path), "{path}");
        }
        assert_eq!(walk(site.as_fd(), "a/../a/b"), Err(Errno::XDEV));
    }
}
