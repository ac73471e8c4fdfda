//! Reading one distribution from the disk.
//!
//! Some of it can't be repeated in an index: because of its content, because this process may not read it,
//! or because it is no regular file (see [`super::text`]). Then the distribution is opaque there: the reader
//! goes to the disk with its own rights, and does what `importlib.metadata` does.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::presence::Within;
use super::retries::Retries;
use super::text::{Content, Text, is_transient, lstat, read_text, read_text_beneath, reason, stat, text_of};
use super::{Listing, SiteDir};
use crate::freshness::Stamp;
use crate::metadata::file_list::{FileList, infer};
use crate::metadata::headers::{self, Header};
use crate::metadata::{Distribution, EntryPoint, Identity, Stamps, TopLevel, entry_points, name, top_level};
use crate::sys::fs::{Links, Unreadable, open_dir, open_file_beneath};

/// The largest METADATA or PKG-INFO that is read: long descriptions reach some 100 KiB.
pub const MAX_METADATA: u64 = 8 << 20;
/// The largest `entry_points.txt` that is read: real ones reach some 10 KiB.
pub const MAX_ENTRY_POINTS: u64 = 1 << 20;
/// The largest `top_level.txt` that is read: real ones have a line or two.
pub const MAX_TOP_LEVEL: u64 = 1 << 20;
/// The largest list of files that is read: real ones reach some MiB.
pub const MAX_FILES: u64 = 16 << 20;

/// The result of reading a distribution.
#[derive(Debug)]
pub struct Reading {
    pub distribution: Distribution<'static>,
    /// Why parts of it are opaque: file name and reason, for a message.
    pub diagnostics: Vec<String>,
}

/// Reads the distribution `file_name` of `site`; `None` when it is gone. The importable names are left to
/// the reader.
///
/// The recorded stamps are always those from before the reading, so a later change makes them wrong. A
/// distribution that still changes when the retries are used up is recorded as unsettled.
///
/// # Errors
/// Only what is not about the distribution itself, such as a lack of memory or descriptors.
pub fn read(site: &SiteDir, file_name: &[u8], links: Links) -> io::Result<Option<Reading>> {
    read_parts(site.as_fd(), file_name, None, links, None, &Retries::default())
}

/// The same with the importable names, which depend on what else is in the site directory. Links are
/// refused. `seen` is what [`lstat_listed`] said of it just now, if it did.
///
/// # Errors
/// The same.
pub fn read_whole(
    site: &SiteDir,
    file_name: &[u8],
    seen: Option<Stat>,
    listing: &Listing,
    retries: &Retries,
) -> io::Result<Option<Reading>> {
    read_parts(site.as_fd(), file_name, seen, Links::Refuse, Some(listing), retries)
}

fn read_parts(
    site: BorrowedFd<'_>,
    file_name: &[u8],
    mut seen: Option<Stat>,
    links: Links,
    listing: Option<&Listing>,
    retries: &Retries,
) -> io::Result<Option<Reading>> {
    let mut denied_before = false;
    loop {
        let before = match seen.take() {
            Some(stat) => stat,
            None => match stat_listed(site, file_name, links)? {
                Some(stat) => stat,
                None => return Ok(None),
            },
        };
        let mut parts = Parts::new(links, listing, Stamp::of(&before));
        parts.read(site, file_name, &before)?;
        let Some(after) = stat_listed(site, file_name, links)? else { return Ok(None) };
        let changed = parts.changed || Stamp::of(&before) != Stamp::of(&after);
        // Once, whatever is left of the budget: there can be many that we may not read.
        let denied_at_first = parts.denied && !denied_before;
        if !(changed && retries.take() || denied_at_first) {
            return Ok(Some(parts.into_reading(file_name, !changed)));
        }
        denied_before |= parts.denied;
    }
}

/// `lstat` of a distribution that was found in the listing of `site`; `None` when it is gone.
///
/// # Errors
/// When the kernel can't answer. That includes a site directory that may be listed, but not searched: what
/// is in it exists all the same.
pub fn lstat_listed(site: &SiteDir, file_name: &[u8]) -> io::Result<Option<Stat>> {
    stat_listed(site.as_fd(), file_name, Links::Refuse)
}

fn stat_listed(site: BorrowedFd<'_>, file_name: &[u8], links: Links) -> io::Result<Option<Stat>> {
    if links == Links::Follow {
        return stat(site, file_name, links);
    }
    match rustix::fs::statat(site, file_name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The present stamps of a distribution whose own stamp is the `known` one, without reading it.
///
/// # Errors
/// When the kernel can't answer.
pub fn stamps_now(site: &SiteDir, known: &Distribution<'_>) -> io::Result<Stamps> {
    let site = site.as_fd();
    let mut stamps = stamps(site, &known.file_name, known.stamps.itself)?;
    // A list that appears changes the directory's own stamp, and one that was not needed matters only
    // after a change of `top_level.txt`. So it is compared only where it was recorded.
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

/// The stamps of a distribution without that of its list of files.
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

/// What has been read of a distribution so far.
struct Parts<'l> {
    links: Links,
    /// What is in the site directory; `None` where the importable names are not wanted.
    listing: Option<&'l Listing>,
    identity: Option<Identity<'static>>,
    entry_points: Option<Vec<EntryPoint<'static>>>,
    configparser_differs: bool,
    top_level: TopLevel<'static>,
    stamps: Stamps,
    diagnostics: Vec<String>,
    changed: bool,
    denied: bool,
}

impl<'l> Parts<'l> {
    /// A distribution without any file.
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
            changed: false,
            denied: false,
        }
    }

    fn read(&mut self, site: BorrowedFd<'_>, file_name: &[u8], stat: &Stat) -> io::Result<()> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if self.links == Links::Refuse && self.read_usual(site, file_name)? => {}
            FileType::Directory => match open_dir(site, file_name, self.links) {
                Ok(directory) => self.read_directory(site, directory.as_fd(), file_name)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => self.changed = true,
                Err(error) => {
                    self.changed |= is_transient(error.into());
                    self.denied |= error == Errno::ACCESS;
                    self.hide_all(&reason(error.into())?);
                }
            },
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

    /// Reads a directory with the usual files and without links, by paths from the site directory: that
    /// saves opening the directory itself. Does nothing and returns false for any other.
    fn read_usual(&mut self, site: BorrowedFd<'_>, file_name: &[u8]) -> io::Result<bool> {
        let name = name::metadata_file(file_name);
        let open = |name| open_file_beneath(site, path(file_name, name));
        // importlib.metadata would ask METADATA first, also in an `.egg-info`.
        if name != METADATA && !matches!(open(METADATA), Err(Unreadable::Missing)) {
            return Ok(false);
        }
        let Ok(metadata) = open(name) else { return Ok(false) };
        let entry_points = match open(ENTRY_POINTS) {
            Ok(file) => Some(file),
            Err(Unreadable::Missing) => None,
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

    /// Reads the files in the order of `importlib.metadata`: METADATA, and PKG-INFO where that is missing or
    /// empty.
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
            // The index records the stamp of the expected file, not of this one.
            Some((name, _)) => self.hide_identity(Some(name), "an unusual place for metadata"),
            None => {}
        }
        if self.stamps.metadata.is_none() {
            // Not read, since the other one was there.
            self.stamps.metadata = lstat(directory, expected.as_bytes())?.as_ref().map(Stamp::of);
        }
        let text = read_text(directory, ENTRY_POINTS.as_bytes(), MAX_ENTRY_POINTS, self.links)?;
        self.take_entry_points(text);
        let links = self.links;
        self.read_top_level(site, file_name, |name, limit| {
            read_text(directory, name.as_bytes(), limit, links)
        })
    }

    /// Reads the importable names. `text` reads a file of the distribution.
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
        for (index, list) in FileList::ALL.into_iter().enumerate() {
            let files = text(list.file_name(), MAX_FILES)?;
            if files.stamp.is_none() && matches!(files.content, Content::Absent) {
                continue;
            }
            self.note_attempt(&files);
            self.stamps.files = files.stamp;
            self.top_level = match files.content {
                Content::Text(text) => {
                    // Which other list is used then depends on the version of Python.
                    let others = list != FileList::Record || text.is_empty();
                    let mut others = FileList::ALL[index + 1..].iter().filter(|_| others);
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
        self.changed |= text.changed;
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
        // Without a usable directory name, CPython recognises duplicates by the metadata, and raises where
        // that has no Name. This is left to the reader.
        if key.is_none() && !name::has_stem(file_name) {
            self.entry_points = None;
        }
        let distribution = Distribution {
            file_name: Cow::Owned(file_name.to_vec()),
            position: 0,
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
