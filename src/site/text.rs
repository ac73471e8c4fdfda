//! Reading one text file that strangers have written.
//!
//! Files are opened relative to descriptors and never through a link; only regular files are read, and
//! only up to a limit; a FIFO can't make us wait.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::freshness::Stamp;

/// What to do about symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// They make a distribution opaque: what lies behind can change unseen, or be somebody's secret.
    Refuse,
    /// Follow them, as Python does. Only to show somebody what he may read anyway.
    Follow,
}

impl Links {
    /// The flags to open a file for reading with.
    #[must_use]
    pub fn open_flags(self) -> OFlags {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        if self == Self::Refuse { flags | OFlags::NOFOLLOW } else { flags }
    }

    /// `stat` of something in `directory`; `None` where `importlib.metadata` would see nothing either.
    ///
    /// # Errors
    /// When the kernel can't answer.
    pub fn stat(self, directory: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<Option<Stat>> {
        let flags = if self == Self::Refuse { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
        match rustix::fs::statat(directory, file_name, flags) {
            Ok(stat) => Ok(Some(stat)),
            // ACCESS: a directory that we may not enter is opaque, and its own stamp is all there is.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The same of a distribution that was found in the listing of `site`.
    ///
    /// # Errors
    /// When the kernel can't answer, or may not because `site` can't be searched: what is in it then is
    /// not nothing.
    pub fn stat_listed(self, site: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<Option<Stat>> {
        if self == Self::Follow {
            return self.stat(site, file_name);
        }
        match rustix::fs::statat(site, file_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// `lstat` of something in `directory`; `None` where `importlib.metadata` would see nothing either.
///
/// # Errors
/// When the kernel can't answer.
pub fn lstat(directory: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<Option<Stat>> {
    Links::Refuse.stat(directory, file_name)
}

/// A file that should be text.
#[derive(Debug)]
pub struct Text {
    /// What is in it.
    pub content: Content,
    /// Its stamp from before it was read; `None` where there is no file.
    pub stamp: Option<Stamp>,
    /// It changed while it was read, or may be read at another time.
    pub moved: bool,
    /// It was not ours to read. Another attempt will tell whether that was a passing error.
    pub denied: bool,
}

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// For `importlib.metadata` there is none.
    Absent,
    /// The whole file.
    Text(String),
    /// There is something that is not ours to repeat, and why.
    Hidden(String),
}

impl Text {
    /// Whether it is missing or empty, which is the same to `importlib.metadata`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.content {
            Content::Absent => true,
            Content::Text(text) => text.is_empty(),
            Content::Hidden(_) => false,
        }
    }
}

/// How a file that may be anything is opened: a FIFO opens at once, and is then seen to be no regular
/// file.
const WARY: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// Opens a file some levels below `directory` in one step, with no symbolic link on the way.
///
/// # Errors
/// The kernel's; always on those before 5.6, and where a filter of system calls does not know this one.
pub fn open_beneath(directory: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(directory, path, Links::Refuse.open_flags() | WARY, Mode::empty(), resolve)
}

/// [`read_text`] of a file that [`open_beneath`] opens.
///
/// # Errors
/// The same.
pub fn read_text_beneath(directory: BorrowedFd<'_>, path: &[u8], limit: u64) -> io::Result<Text> {
    taken(open_beneath(directory, path), directory, path, limit)
}

/// Reads a regular file of at most `limit` bytes as UTF-8.
///
/// # Errors
/// Only our own lack of memory or descriptors.
pub fn read_text(directory: BorrowedFd<'_>, name: &[u8], limit: u64, links: Links) -> io::Result<Text> {
    let opened = rustix::fs::openat(directory, name, links.open_flags() | WARY, Mode::empty());
    taken(opened, directory, name, limit)
}

fn taken(
    opened: Result<OwnedFd, Errno>,
    directory: BorrowedFd<'_>,
    name: &[u8],
    limit: u64,
) -> io::Result<Text> {
    match opened {
        Ok(file) => text_of(&file, limit),
        Err(Errno::NOENT | Errno::NOTDIR) => {
            Ok(Text { content: Content::Absent, stamp: None, moved: false, denied: false })
        }
        Err(error) => {
            let content = Content::Hidden(unreadable(error)?);
            let stamp = lstat(directory, name)?.as_ref().map(Stamp::of);
            Ok(Text { content, stamp, moved: may_pass(error), denied: error == Errno::ACCESS })
        }
    }
}

/// The same of a file that is open.
///
/// # Errors
/// The same.
pub fn text_of(file: &OwnedFd, limit: u64) -> io::Result<Text> {
    let stat = rustix::fs::fstat(file)?;
    let stamp = Stamp::of(&stat);
    let still = |content| Ok(Text { content, stamp: Some(stamp), moved: false, denied: false });
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return still(Content::Absent),
        _ => return still(Content::Hidden("not a regular file".to_owned())),
    }
    if stamp.size > limit {
        return still(Content::Hidden(format!("{} bytes, more than the {limit} that are read", stamp.size)));
    }
    let bytes = match read_bytes(file.as_fd(), stamp.size) {
        Ok(bytes) => bytes,
        Err(error) => {
            let content = Content::Hidden(unreadable(error)?);
            return Ok(Text { content, stamp: Some(stamp), moved: may_pass(error), denied: false });
        }
    };
    let moved = bytes.len() as u64 != stamp.size || Stamp::of(&rustix::fs::fstat(file)?) != stamp;
    let content = match String::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(_) => Content::Hidden("not UTF-8".to_owned()),
    };
    Ok(Text { content, stamp: Some(stamp), moved, denied: false })
}

/// Reads up to `size` bytes, fewer where the file has become shorter.
fn read_bytes(file: BorrowedFd<'_>, size: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| Errno::FBIG)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::io::read(file, &mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Whether another attempt may succeed although nothing has changed: then what came of this one is not
/// to be kept.
#[must_use]
pub fn may_pass(error: Errno) -> bool {
    error == Errno::IO
}

/// Why a file that is there can't be read.
///
/// # Errors
/// Where that is our own lack, not the file's.
pub fn unreadable(error: Errno) -> io::Result<String> {
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR => Err(error.into()),
        Errno::LOOP => Ok("a symbolic link".to_owned()),
        error => Ok(io::Error::from(error).to_string()),
    }
}
