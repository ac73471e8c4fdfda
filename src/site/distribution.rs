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

use super::presence::Within;
use super::text::{
    Content, Links, Text, lstat, may_pass, open_beneath, read_text, read_text_beneath, text_of, unreadable,
};
use crate::freshness::Stamp;
use crate::metadata::file_list::{FileList, infer};
use crate::metadata::headers::{self, Header};
use crate::metadata::{Distribution, EntryPoint, Identity, Stamps, TopLevel, entry_points, name, top_level};
use crate::site::Listing;

/// The largest METADATA or PKG-INFO that is read: long descriptions reach some 100 KiB.
pub const MAX_METADATA: u64 = 8 << 20;
/// The largest `entry_points.txt` that is read: real ones reach some 10 KiB.
pub const MAX_ENTRY_POINTS: u64 = 1 << 20;
/// The largest `top_level.txt` that is read: real ones have a line or two.
pub const MAX_TOP_LEVEL: u64 = 1 << 20;
/// The largest list of files that is read: real ones reach some MiB.
pub const MAX_FILES: u64 = 16 << 20;

/// How often a distribution that changes while it is read is read again.
const ATTEMPTS: usize = 3;

/// What came of reading a distribution.
#[derive(Debug)]
pub struct Reading {
    /// The distribution.
    pub distribution: Distribution<'static>,
    /// Why parts of it are opaque: file name and reason, for a message.
    pub diagnostics: Vec<String>,
}

/// Reads the distribution `file_name` of the site directory `site`; `None` when it is gone. What
/// `lstat` said of it just now may be given as `seen`, and is not asked for again then. The importable
/// names are left to the reader.
///
/// The recorded stamps are always those from before the reading, so whatever changes later makes
/// them wrong. A distribution that does not keep still is recorded as unsettled.
///
/// # Errors
/// Only what says nothing about the distribution itself, such as a lack of memory or descriptors.
pub fn read(
    site: BorrowedFd<'_>,
    file_name: &[u8],
    seen: Option<Stat>,
    links: Links,
) -> io::Result<Option<Reading>> {
    read_parts(site, file_name, seen, links, None)
}

/// The same with the importable names, which depend on what else is in the site directory. Links are
/// refused.
///
/// # Errors
/// The same.
pub fn read_whole(
    site: BorrowedFd<'_>,
    file_name: &[u8],
    seen: Option<Stat>,
    listing: &Listing,
) -> io::Result<Option<Reading>> {
    read_parts(site, file_name, seen, Links::Refuse, Some(listing))
}

fn read_parts(
    site: BorrowedFd<'_>,
    file_name: &[u8],
    mut seen: Option<Stat>,
    links: Links,
    listing: Option<&Listing>,
) -> io::Result<Option<Reading>> {
    let mut attempts = 0;
    loop {
        let before = match seen.take() {
            Some(stat) => stat,
            None => match links.stat_listed(site, file_name)? {
                Some(stat) => stat,
                None => return Ok(None),
            },
        };
        let mut parts = Parts::new(links, listing, Stamp::of(&before));
        parts.read(site, file_name, &before)?;
        let Some(after) = links.stat_listed(site, file_name)? else { return Ok(None) };
        attempts += 1;
        let moved = parts.moved || Stamp::of(&before) != Stamp::of(&after);
        if !(moved || parts.denied) || attempts == ATTEMPTS {
            return Ok(Some(parts.into_reading(file_name, !moved)));
        }
    }
}

/// The stamps as they are now of a distribution that shows its `known` one itself, without reading it.
///
/// # Errors
/// When the kernel can't answer.
pub fn stamps_now(site: BorrowedFd<'_>, known: &Distribution<'_>) -> io::Result<Stamps> {
    let mut stamps = stamps(site, &known.file_name, known.stamps.itself)?;
    // A list that was not there would have moved the directory's own stamp, and one that was not
    // asked for matters only when there is another `top_level.txt`.
    if known.stamps.files.is_some() {
        for list in FileList::ALL {
            stamps.files = stamp(site, &known.file_name, list.file_name())?;
            if stamps.files.is_some() {
                break;
            }
        }
    }
    Ok(stamps)
}

/// The stamps of a distribution but for that of its list of files.
fn stamps(site: BorrowedFd<'_>, file_name: &[u8], itself: Stamp) -> io::Result<Stamps> {
    Ok(Stamps {
        itself,
        metadata: stamp(site, file_name, name::metadata_file(file_name))?,
        entry_points: stamp(site, file_name, ENTRY_POINTS)?,
        top_level: stamp(site, file_name, TOP_LEVEL)?,
        files: None,
    })
}

fn stamp(site: BorrowedFd<'_>, file_name: &[u8], name: &str) -> io::Result<Option<Stamp>> {
    Ok(lstat(site, &path(file_name, name))?.as_ref().map(Stamp::of))
}

/// The path of a file in a distribution, seen from the site directory.
pub(super) fn path(file_name: &[u8], name: &str) -> Vec<u8> {
    [file_name, b"/", name.as_bytes()].concat()
}

const METADATA: &str = "METADATA";
const ENTRY_POINTS: &str = "entry_points.txt";
const TOP_LEVEL: &str = "top_level.txt";

/// What has been gathered of a distribution so far.
struct Parts<'l> {
    links: Links,
    /// What is in the site directory; `None`: the importable names are of no interest.
    listing: Option<&'l Listing>,
    identity: Option<Identity<'static>>,
    entry_points: Option<Vec<EntryPoint<'static>>>,
    configparser_differs: bool,
    top_level: TopLevel<'static>,
    stamps: Stamps,
    diagnostics: Vec<String>,
    moved: bool,
    denied: bool,
}

impl<'l> Parts<'l> {
    /// Nothing found, nothing hidden.
    fn new(links: Links, listing: Option<&'l Listing>, itself: Stamp) -> Self {
        Self {
            links,
            listing,
            identity: Some(Identity::default()),
            entry_points: Some(Vec::new()),
            configparser_differs: false,
            top_level: if listing.is_some() { TopLevel::NONE } else { TopLevel::OPAQUE },
            stamps: Stamps { itself, metadata: None, entry_points: None, top_level: None, files: None },
            diagnostics: Vec::new(),
            moved: false,
            denied: false,
        }
    }

    fn read(&mut self, site: BorrowedFd<'_>, file_name: &[u8], stat: &Stat) -> io::Result<()> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if self.links == Links::Refuse && self.read_usual(site, file_name)? => {}
            FileType::Directory => {
                let flags = self.links.open_flags() | OFlags::DIRECTORY;
                match rustix::fs::openat(site, file_name, flags, Mode::empty()) {
                    Ok(directory) => self.read_directory(site, directory.as_fd(), file_name)?,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => self.moved = true,
                    Err(error) => {
                        self.moved |= may_pass(error);
                        self.denied |= error == Errno::ACCESS;
                        self.hide_all(&unreadable(error)?);
                    }
                }
            }
            FileType::RegularFile => {
                let text = read_text(site, file_name, MAX_METADATA, self.links)?;
                self.take_identity(None, text);
            }
            FileType::Symlink => {
                self.hide_all("a symbolic link");
                // Where it leads to a directory, a reader sees the stamps of what is there.
                self.stamps = stamps(site, file_name, Stamp::of(stat))?;
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
        self.stamps.metadata = text.stamp;
        self.take_identity(Some(name), text);
        if let Some(file) = entry_points {
            self.take_entry_points(text_of(&file, MAX_ENTRY_POINTS)?);
        }
        self.read_top_level(site, file_name, |name, limit| {
            read_text_beneath(site, &path(file_name, name), limit)
        })?;
        Ok(true)
    }

    /// The files in the order in which `importlib.metadata` asks for them: METADATA, and PKG-INFO
    /// where that is missing or empty.
    fn read_directory(
        &mut self,
        site: BorrowedFd<'_>,
        directory: BorrowedFd<'_>,
        file_name: &[u8],
    ) -> io::Result<()> {
        let expected = name::metadata_file(file_name);
        let mut found = None;
        for candidate in [METADATA, "PKG-INFO"] {
            let text = read_text(directory, candidate.as_bytes(), MAX_METADATA, self.links)?;
            self.note_attempt(&text);
            if candidate == expected {
                self.stamps.metadata = text.stamp;
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
        if self.stamps.metadata.is_none() {
            // Not looked at because the other one was there.
            self.stamps.metadata = lstat(directory, expected.as_bytes())?.as_ref().map(Stamp::of);
        }
        let text = read_text(directory, ENTRY_POINTS.as_bytes(), MAX_ENTRY_POINTS, self.links)?;
        self.take_entry_points(text);
        let links = self.links;
        self.read_top_level(site, file_name, |name, limit| {
            read_text(directory, name.as_bytes(), limit, links)
        })
    }

    /// The importable names. `text` reads a file of the distribution.
    fn read_top_level(
        &mut self,
        site: BorrowedFd<'_>,
        file_name: &[u8],
        text: impl Fn(&str, u64) -> io::Result<Text>,
    ) -> io::Result<()> {
        let Some(listing) = self.listing else { return Ok(()) };
        let declared = text(TOP_LEVEL, MAX_TOP_LEVEL)?;
        self.note_attempt(&declared);
        self.stamps.top_level = declared.stamp;
        let declared = match declared.content {
            Content::Absent => None,
            Content::Hidden(_) => Some(TopLevel::OPAQUE),
            Content::Text(text) => top_level::declared(&text),
        };
        if let Some(declared) = declared {
            self.top_level = declared;
            return Ok(());
        }
        for (place, list) in FileList::ALL.into_iter().enumerate() {
            let files = text(list.file_name(), MAX_FILES)?;
            if files.stamp.is_none() && matches!(files.content, Content::Absent) {
                continue;
            }
            self.note_attempt(&files);
            self.stamps.files = files.stamp;
            self.top_level = match files.content {
                Content::Text(text) => {
                    // Which other list is asked then depends on the version of Python.
                    let others = list != FileList::Record || text.is_empty();
                    let mut others = FileList::ALL[place + 1..].iter().filter(|_| others);
                    let another = others.try_fold(false, |found, other| {
                        stamp(site, file_name, other.file_name()).map(|stamp| found || stamp.is_some())
                    })?;
                    match std::str::from_utf8(file_name) {
                        Ok(own) if !another => infer(list, &text, own, &Within { site, listing })?,
                        _ => TopLevel::OPAQUE,
                    }
                }
                Content::Absent | Content::Hidden(_) => TopLevel::OPAQUE,
            };
            break;
        }
        Ok(())
    }

    fn take_identity(&mut self, name: Option<&str>, text: Text) {
        self.note_attempt(&text);
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
        let headers = headers::parse(&text);
        match (field(headers.name), field(headers.version)) {
            (Ok(name), Ok(version)) => self.identity = Some(Identity { name, version }),
            _ => self.hide_identity(name, "a folded or unprintable Name or Version"),
        }
    }

    fn take_entry_points(&mut self, text: Text) {
        self.note_attempt(&text);
        self.stamps.entry_points = text.stamp;
        let text = match text.content {
            Content::Absent => return,
            Content::Hidden(why) => return self.hide_entry_points(&why),
            Content::Text(text) => text,
        };
        match entry_points::parse(&text) {
            Ok(entries) => {
                self.entry_points = Some(entries.into_iter().map(EntryPoint::into_owned).collect());
                self.configparser_differs = !entry_points::is_read_alike_by_configparser(&text);
            }
            Err(diagnostic) => self.hide_entry_points(&diagnostic.to_string()),
        }
    }

    fn note_attempt(&mut self, text: &Text) {
        self.moved |= text.moved;
        self.denied |= text.denied;
    }

    fn hide_all(&mut self, why: &str) {
        self.identity = None;
        self.entry_points = None;
        self.top_level = TopLevel::OPAQUE;
        self.diagnostics.push(why.to_owned());
    }

    fn hide_identity(&mut self, name: Option<&str>, why: &str) {
        self.identity = None;
        self.diagnostics.push(match name {
            Some(name) => format!("{name}: {why}"),
            None => why.to_owned(),
        });
    }

    fn hide_entry_points(&mut self, why: &str) {
        self.entry_points = None;
        self.diagnostics.push(format!("{ENTRY_POINTS}: {why}"));
    }

    fn into_reading(mut self, file_name: &[u8], settled: bool) -> Reading {
        let named = self.identity.as_ref().and_then(|identity| identity.name.as_deref());
        let key = name::key(file_name, named).map(Cow::Owned);
        // Without a usable directory name, CPython needs the metadata to tell duplicates apart, and
        // fails where that has no Name: leave this to the reader, too.
        if key.is_none() && !name::has_stem(file_name) {
            self.entry_points = None;
        }
        let distribution = Distribution {
            file_name: Cow::Owned(file_name.to_vec()),
            key,
            identity: self.identity,
            configparser_differs: self.configparser_differs && self.entry_points.is_some(),
            entry_points: self.entry_points,
            top_level: self.top_level,
            stamps: self.stamps,
            settled,
        };
        Reading { distribution, diagnostics: self.diagnostics }
    }
}
