//! Reading one text file of a distribution, which may be the work of an untrusted user.
//!
//! [`sys::fs`](crate::sys::fs) has the rules for opening it. This module decides what happens if a file can't be
//! read: the distribution is opaque, so that readers read the disk, or the refresh fails.

use std::cell::RefCell;
use std::io;
use std::ops::Deref;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::freshness::Stamp;
use crate::sys::fs::{Links, OpenFile, Unreadable, open_file, open_file_beneath};

/// `stat` of `name` in `directory`; `None` where `importlib.metadata` would see nothing either.
pub fn stat(directory: BorrowedFd<'_>, name: &[u8], links: Links) -> io::Result<Option<Stat>> {
    let flags = if links == Links::Refuse { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
    match rustix::fs::statat(directory, name, flags) {
        Ok(stat) => Ok(Some(stat)),
        // ACCESS: a directory that we may not enter is opaque, and its own stamp is all there is.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `lstat` of `name` in `directory`; `None` where `importlib.metadata` would see nothing either.
pub fn lstat(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Stat>> {
    stat(directory, name, Links::Refuse)
}

/// A file that should be text.
#[derive(Debug)]
pub struct Text {
    pub content: Content,
    /// From before it was read; `None` where there is no file.
    pub stamp: Option<Stamp>,
    /// It changed while it was read, or another attempt may succeed without a change.
    pub changed: bool,
    /// We may not read it. Only another attempt shows whether that was a passing state.
    pub denied: bool,
}

#[derive(Debug)]
pub enum Content {
    /// For `importlib.metadata` there is no file.
    Absent,
    Text(Body),
    /// There is a file that an index can't repeat, for this reason.
    Hidden(String),
}

/// The text of a file. Its memory is reused for the next one, since a refresh reads thousands of files.
#[derive(Debug)]
pub struct Body(String);

/// How many buffers are kept for the next files, and the bytes of the largest. One distribution uses four.
const SPARES: usize = 4;
const LARGEST_SPARE: usize = 128 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Deref for Body {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.0).into_bytes();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < SPARES && memory.capacity() <= LARGEST_SPARE {
                spare.push(memory);
            }
        });
    }
}

impl Text {
    fn stable(content: Content, stamp: Option<Stamp>) -> Self {
        Self { content, stamp, changed: false, denied: false }
    }

    /// Whether it is missing or empty, which is the same to `importlib.metadata`.
    pub fn is_empty(&self) -> bool {
        match &self.content {
            Content::Absent => true,
            Content::Text(text) => text.is_empty(),
            Content::Hidden(_) => false,
        }
    }
}

/// Reads a regular file of at most `limit` bytes as UTF-8.
pub fn read_text(directory: BorrowedFd<'_>, name: &[u8], limit: u64, links: Links) -> io::Result<Text> {
    text_or_reason(open_file(directory, name, links), directory, name, limit)
}

/// The same for a file some levels below `directory`, with links on the way refused too.
pub fn read_text_beneath(directory: BorrowedFd<'_>, path: &[u8], limit: u64) -> io::Result<Text> {
    text_or_reason(open_file_beneath(directory, path), directory, path, limit)
}

fn text_or_reason(
    opened: Result<OpenFile, Unreadable>,
    directory: BorrowedFd<'_>,
    name: &[u8],
    limit: u64,
) -> io::Result<Text> {
    match opened {
        Ok(file) => text_of(&file, limit),
        Err(Unreadable::Missing) => Ok(Text::stable(Content::Absent, None)),
        Err(why) => {
            let content = Content::Hidden(reason(why)?);
            let stamp = lstat(directory, name)?.as_ref().map(Stamp::of);
            let denied = why == Unreadable::Failed(Errno::ACCESS);
            Ok(Text { content, stamp, changed: is_transient(why), denied })
        }
    }
}

pub fn text_of(file: &OpenFile, limit: u64) -> io::Result<Text> {
    let stamp = Stamp::of(&file.stat);
    if FileType::from_raw_mode(file.stat.st_mode) == FileType::Directory {
        return Ok(Text::stable(Content::Absent, Some(stamp)));
    }
    let memory = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let bytes = match file.read_over(memory, limit) {
        Ok(bytes) => bytes,
        Err(why) => {
            let content = Content::Hidden(reason(why)?);
            return Ok(Text { changed: is_transient(why), ..Text::stable(content, Some(stamp)) });
        }
    };
    let changed = bytes.len() as u64 != stamp.size || Stamp::of(&rustix::fs::fstat(file)?) != stamp;
    let content = match String::from_utf8(bytes) {
        Ok(text) => Content::Text(Body(text)),
        Err(_) => Content::Hidden("not UTF-8".to_owned()),
    };
    Ok(Text { changed, ..Text::stable(content, Some(stamp)) })
}

/// Whether another attempt may succeed although nothing has changed. The result of this one is not kept
/// then.
pub fn is_transient(why: Unreadable) -> bool {
    why == Unreadable::Failed(Errno::IO)
}

/// Why something that is there can't be read.
pub fn reason(why: Unreadable) -> io::Result<String> {
    match why {
        Unreadable::Failed(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR) => Err(why.into()),
        why => Ok(why.to_string()),
    }
}
