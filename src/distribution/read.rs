//! Reading one distribution from the disk.
//!
//! What can't be repeated in an index, because of what it says or because it is not ours to read (see
//! [`super::text`]), makes the distribution opaque, and the reader sees with its own rights what
//! `importlib.metadata` makes of it.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::metadata::{self, Header};
use super::text::{Content, Links, Text, lstat, open_beneath, read_text, text_of, unreadable};
use super::{Distribution, EntryPoint, Identity, Stamps, entry_points, name};
use crate::freshness::Stamp;

/// The largest METADATA or PKG-INFO that is read: long descriptions reach some 100 KiB.
pub const MAX_METADATA: u64 = 8 << 20;
/// The largest `entry_points.txt` that is read: real ones reach some 10 KiB.
pub const MAX_ENTRY_POINTS: u64 = 1 << 20;

/// How often a distribution that changes while it is read is read again.
const ATTEMPTS: usize = 3;

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
        Ok(lstat(site, &path(file_name, name))?.as_ref().map(Stamp::of))
    };
    Ok(Stamps {
        itself,
        metadata: within(name::metadata_file(file_name))?,
        entry_points: within(ENTRY_POINTS)?,
    })
}

/// The path of a file in a distribution, seen from the site directory.
fn path(file_name: &[u8], name: &str) -> Vec<u8> {
    [file_name, b"/", name.as_bytes()].concat()
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
        if name != METADATA && !matches!(open_beneath(site, &path(file_name, METADATA)), Err(Errno::NOENT)) {
            return Ok(false);
        }
        let Ok(metadata) = open_beneath(site, &path(file_name, name)) else { return Ok(false) };
        let entry_points = match open_beneath(site, &path(file_name, ENTRY_POINTS)) {
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
