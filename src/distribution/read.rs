//! Reading one distribution from the disk.
//!
//! Everything here is written by strangers. So files are opened relative to descriptors and never
//! through a link; only regular files are read, and only up to a limit; a FIFO can't make us wait.
//! What can't be repeated in an index for such a reason makes the distribution opaque, and the reader
//! sees with its own rights what `importlib.metadata` makes of it.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::metadata::{self, Header};
use super::{Distribution, EntryPoint, Identity, Stamps, entry_points, name};
use crate::freshness::Stamp;

/// The largest METADATA or PKG-INFO that is read: long descriptions reach some 100 KiB.
pub const MAX_METADATA: u64 = 8 << 20;
/// The largest `entry_points.txt` that is read: real ones reach some 10 KiB.
pub const MAX_ENTRY_POINTS: u64 = 1 << 20;

/// How often a distribution that changes while it is read is read again.
const ATTEMPTS: usize = 3;

/// What to do about symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// They make a distribution opaque: what lies behind can change unseen, or be somebody's secret.
    Refuse,
    /// Follow them, as Python does. Only to show somebody what he may read anyway.
    Follow,
}

impl Links {
    fn open_flags(self) -> OFlags {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        if self == Self::Refuse { flags | OFlags::NOFOLLOW } else { flags }
    }

    fn stat(self, directory: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<Option<Stat>> {
        let flags = if self == Self::Refuse { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
        match rustix::fs::statat(directory, file_name, flags) {
            Ok(stat) => Ok(Some(stat)),
            // ACCESS: a directory that we may not enter is opaque, and its own stamp is all there is.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What came of reading a distribution.
#[derive(Debug)]
pub struct Reading {
    /// The distribution.
    pub distribution: Distribution<'static>,
    /// Why parts of it are opaque: file name and reason, for a message.
    pub oddities: Vec<String>,
}

/// Reads the distribution `file_name` of the site directory `site`; `None` when it is gone. What
/// `lstat` said of it just now may be given as `seen`, and is not asked for again then.
///
/// The recorded stamps are always those from before the reading, so whatever changes later makes
/// them wrong. A distribution that does not keep still is recorded as unsettled.
///
/// # Errors
/// Only what says nothing about the distribution itself, such as a lack of memory or descriptors.
pub fn read(
    site: BorrowedFd<'_>,
    file_name: &[u8],
    mut seen: Option<Stat>,
    links: Links,
) -> io::Result<Option<Reading>> {
    let mut attempts = 0;
    loop {
        let before = match seen.take() {
            Some(stat) => stat,
            None => match links.stat(site, file_name)? {
                Some(stat) => stat,
                None => return Ok(None),
            },
        };
        let mut parts = Parts::new(links);
        parts.read(site, file_name, &before)?;
        let Some(after) = links.stat(site, file_name)? else { return Ok(None) };
        attempts += 1;
        let moved = parts.moved || Stamp::of(&before) != Stamp::of(&after);
        if !moved || attempts == ATTEMPTS {
            return Ok(Some(parts.into_reading(file_name, Stamp::of(&before), !moved)));
        }
    }
}

/// The stamps of a distribution as they are now, without reading it; `None` when it is gone.
///
/// # Errors
/// When the kernel can't answer.
pub fn stamps(site: BorrowedFd<'_>, file_name: &[u8], itself: Stamp) -> io::Result<Stamps> {
    let within = |name: &str| -> io::Result<Option<Stamp>> {
        let path = [file_name, b"/", name.as_bytes()].concat();
        Ok(lstat(site, &path)?.as_ref().map(Stamp::of))
    };
    Ok(Stamps {
        itself,
        metadata: within(name::metadata_file(file_name))?,
        entry_points: within(ENTRY_POINTS)?,
    })
}

/// `lstat` of something in `directory`; `None` where `importlib.metadata` would see nothing either.
///
/// # Errors
/// When the kernel can't answer.
pub fn lstat(directory: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<Option<Stat>> {
    Links::Refuse.stat(directory, file_name)
}

const METADATA: &str = "METADATA";
const ENTRY_POINTS: &str = "entry_points.txt";

/// What has been gathered of a distribution so far.
struct Parts {
    links: Links,
    identity: Option<Identity<'static>>,
    entry_points: Option<Vec<EntryPoint<'static>>>,
    metadata_stamp: Option<Stamp>,
    entry_points_stamp: Option<Stamp>,
    oddities: Vec<String>,
    moved: bool,
}

impl Parts {
    /// Nothing found, nothing hidden.
    fn new(links: Links) -> Self {
        Self {
            links,
            identity: Some(Identity::default()),
            entry_points: Some(Vec::new()),
            metadata_stamp: None,
            entry_points_stamp: None,
            oddities: Vec::new(),
            moved: false,
        }
    }

    fn read(&mut self, site: BorrowedFd<'_>, file_name: &[u8], stat: &Stat) -> io::Result<()> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if self.links == Links::Refuse && self.read_usual(site, file_name)? => {}
            FileType::Directory => {
                let flags = self.links.open_flags() | OFlags::DIRECTORY;
                match rustix::fs::openat(site, file_name, flags, Mode::empty()) {
                    Ok(directory) => self.read_directory(directory.as_fd(), file_name)?,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => self.moved = true,
                    Err(error) => self.hide_all(&unreadable(error)?),
                }
            }
            FileType::RegularFile => {
                let text = read_text(site, file_name, MAX_METADATA, self.links)?;
                self.take_identity(None, text);
            }
            FileType::Symlink => {
                self.hide_all("a symbolic link");
                // Where it leads to a directory, a reader sees the stamps of what is there.
                let stamps = stamps(site, file_name, Stamp::of(stat))?;
                self.metadata_stamp = stamps.metadata;
                self.entry_points_stamp = stamps.entry_points;
            }
            _ => self.hide_identity(None, "neither a directory nor a regular file"),
        }
        Ok(())
    }

    /// Reads a directory that is as it should be without opening the directory itself; says whether
    /// it was one. Otherwise nothing has happened.
    fn read_usual(&mut self, site: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<bool> {
        let name = name::metadata_file(file_name);
        // What comes first for importlib.metadata must not be there.
        if name != METADATA && !matches!(open_beneath(site, file_name, METADATA), Err(Errno::NOENT)) {
            return Ok(false);
        }
        let Ok(metadata) = open_beneath(site, file_name, name) else { return Ok(false) };
        let entry_points = match open_beneath(site, file_name, ENTRY_POINTS) {
            Ok(file) => Some(file),
            Err(Errno::NOENT) => None,
            Err(_) => return Ok(false),
        };
        let text = text_of(&metadata, MAX_METADATA)?;
        if text.is_empty() {
            return Ok(false);
        }
        self.metadata_stamp = text.stamp;
        self.take_identity(Some(name), text);
        if let Some(file) = entry_points {
            self.take_entry_points(text_of(&file, MAX_ENTRY_POINTS)?);
        }
        Ok(true)
    }

    /// The files in the order in which `importlib.metadata` asks for them: METADATA, and PKG-INFO
    /// where that is missing or empty.
    fn read_directory(&mut self, directory: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<()> {
        let expected = name::metadata_file(file_name);
        let mut found = None;
        for candidate in [METADATA, "PKG-INFO"] {
            let text = read_text(directory, candidate.as_bytes(), MAX_METADATA, self.links)?;
            self.moved |= text.moved;
            if candidate == expected {
                self.metadata_stamp = text.stamp;
            }
            if !matches!(&text.content, Content::Absent | Content::Text(_) if text.is_empty()) {
                found = Some((candidate, text));
                break;
            }
        }
        match found {
            Some((name, text)) if name == expected => self.take_identity(Some(name), text),
            // The stamp that the index records would not be that of the file with the answer.
            Some((name, _)) => self.hide_identity(Some(name), "an unusual place for metadata"),
            None => {}
        }
        if self.metadata_stamp.is_none() {
            // Not looked at because the other one was there.
            self.metadata_stamp = lstat(directory, expected.as_bytes())?.as_ref().map(Stamp::of);
        }
        let text = read_text(directory, ENTRY_POINTS.as_bytes(), MAX_ENTRY_POINTS, self.links)?;
        self.take_entry_points(text);
        Ok(())
    }

    fn take_identity(&mut self, name: Option<&str>, text: Text) {
        self.moved |= text.moved;
        let text = match text.content {
            Content::Absent => return,
            Content::Hidden(why) => return self.hide_identity(name, &why),
            Content::Text(text) => text,
        };
        let field = |header| match header {
            Header::Absent => Ok(None),
            Header::Value(value) => Ok(Some(Cow::Owned(value))),
            Header::Opaque => Err(()),
        };
        let headers = metadata::parse(&text);
        match (field(headers.name), field(headers.version)) {
            (Ok(name), Ok(version)) => self.identity = Some(Identity { name, version }),
            _ => self.hide_identity(name, "a folded or unprintable Name or Version"),
        }
    }

    fn take_entry_points(&mut self, text: Text) {
        self.moved |= text.moved;
        self.entry_points_stamp = text.stamp;
        let text = match text.content {
            Content::Absent => return,
            Content::Hidden(why) => return self.hide_entry_points(&why),
            Content::Text(text) => text,
        };
        match entry_points::parse(&text) {
            Ok(entries) => {
                self.entry_points = Some(entries.into_iter().map(EntryPoint::into_owned).collect());
            }
            Err(oddity) => self.hide_entry_points(&oddity.to_string()),
        }
    }

    fn hide_all(&mut self, why: &str) {
        self.identity = None;
        self.entry_points = None;
        self.oddities.push(why.to_owned());
    }

    fn hide_identity(&mut self, name: Option<&str>, why: &str) {
        self.identity = None;
        self.oddities.push(match name {
            Some(name) => format!("{name}: {why}"),
            None => why.to_owned(),
        });
    }

    fn hide_entry_points(&mut self, why: &str) {
        self.entry_points = None;
        self.oddities.push(format!("{ENTRY_POINTS}: {why}"));
    }

    fn into_reading(mut self, file_name: &[u8], itself: Stamp, settled: bool) -> Reading {
        let named = self.identity.as_ref().and_then(|identity| identity.name.as_deref());
        let key = name::key(file_name, named).map(Cow::Owned);
        // Without a usable directory name, CPython needs the metadata to tell duplicates apart, and
        // fails where that has no Name: leave this to the reader, too.
        if key.is_none() && !name::has_stem(file_name) {
            self.entry_points = None;
        }
        let stamps = Stamps { itself, metadata: self.metadata_stamp, entry_points: self.entry_points_stamp };
        let distribution = Distribution {
            file_name: Cow::Owned(file_name.to_vec()),
            key,
            identity: self.identity,
            entry_points: self.entry_points,
            stamps,
            settled,
        };
        Reading { distribution, oddities: self.oddities }
    }
}

/// A file that should be text.
struct Text {
    content: Content,
    stamp: Option<Stamp>,
    /// It changed while it was read.
    moved: bool,
}

enum Content {
    /// For `importlib.metadata` there is none.
    Absent,
    /// The whole file.
    Text(String),
    /// There is something that is not ours to repeat, and why.
    Hidden(String),
}

impl Text {
    fn is_empty(&self) -> bool {
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

/// Opens the file `name` of the distribution `file_name` in one step, with no symbolic link on the way.
///
/// Fails on kernels before 5.6, and where a filter of system calls does not know this one.
fn open_beneath(site: BorrowedFd<'_>, file_name: &[u8], name: &str) -> Result<OwnedFd, Errno> {
    let path = [file_name, b"/", name.as_bytes()].concat();
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(site, path, Links::Refuse.open_flags() | WARY, Mode::empty(), resolve)
}

/// Reads a regular file of at most `limit` bytes as UTF-8.
fn read_text(directory: BorrowedFd<'_>, name: &[u8], limit: u64, links: Links) -> io::Result<Text> {
    match rustix::fs::openat(directory, name, links.open_flags() | WARY, Mode::empty()) {
        Ok(file) => text_of(&file, limit),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Text { content: Content::Absent, stamp: None, moved: false }),
        Err(error) => {
            let content = Content::Hidden(unreadable(error)?);
            let stamp = lstat(directory, name)?.as_ref().map(Stamp::of);
            Ok(Text { content, stamp, moved: false })
        }
    }
}

/// The same of a file that is open.
fn text_of(file: &OwnedFd, limit: u64) -> io::Result<Text> {
    let stat = rustix::fs::fstat(file)?;
    let stamp = Stamp::of(&stat);
    let still = |content| Ok(Text { content, stamp: Some(stamp), moved: false });
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
        Err(error) => return still(Content::Hidden(unreadable(error)?)),
    };
    let moved = bytes.len() as u64 != stamp.size || Stamp::of(&rustix::fs::fstat(file)?) != stamp;
    let content = match String::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(_) => Content::Hidden("not UTF-8".to_owned()),
    };
    Ok(Text { content, stamp: Some(stamp), moved })
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

/// Why a file that is there can't be read; an error where that is our own lack, not the file's.
fn unreadable(error: Errno) -> io::Result<String> {
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR => Err(error.into()),
        Errno::LOOP => Ok("a symbolic link".to_owned()),
        error => Ok(io::Error::from(error).to_string()),
    }
}
