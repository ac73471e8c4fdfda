//! Reading one distribution from the disk.
//!
//! Some of it can't be repeated in an index: because of its content, because this process may not read it,
//! or because it is no regular file (see [`super::text`]). Then the distribution is opaque there: the reader
//! goes to the disk with its own rights, and does what `importlib.metadata` does.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::install_state::{self, Texts};
use super::presence::Within;
use super::retries::Retries;
use super::stamps::{ENTRY_POINTS, METADATA, TOP_LEVEL, path, stamp, stamps, stat_listed};
use super::text::{Content, Text, is_transient, lstat, read_text, read_text_beneath, reason, text_of};
use super::{LazyListing, SiteDir};
use crate::freshness::Stamp;
use crate::freshness::clock::{UNFINISHED_AFTER, is_older_than};
use crate::limits::{ENTRY_POINTS_SIZE, FILES_SIZE, METADATA_SIZE, TOP_LEVEL_SIZE};
use crate::metadata::cost::Cost;
use crate::metadata::file_list::{FileList, infer};
use crate::metadata::headers::{self, Header};
use crate::metadata::record::RECORD;
use crate::metadata::top_level::Kind;
use crate::metadata::{
    Contents, Distribution, EntryPoint, Fingerprint, Identity, Stamps, TopLevel, entry_points, name,
    top_level,
};
use crate::sys::fs::{Links, Unreadable, open_dir, open_file_beneath};

#[derive(Debug)]
pub struct Reading {
    pub distribution: Distribution<'static>,
    /// The index does not hold it, so its entry points were not kept.
    pub is_too_large: bool,
    /// Its own `RECORD` shows that its metadata is final. Found out only while it is young.
    pub is_final: bool,
    /// Why parts of it are opaque: file name and reason, for a message.
    pub diagnostics: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Reader<'r> {
    pub site: &'r SiteDir,
    pub links: Links,
    /// What is in the site directory: the importable names depend on it. Without it, they are opaque.
    pub listing: Option<&'r LazyListing<'r>>,
    pub retries: &'r Retries,
    /// The least cost of a distribution that the index certainly does not hold.
    pub too_large: usize,
    /// Look for a proof that a young distribution is final.
    pub proves: bool,
    /// Take the content of the metadata file, too.
    pub seals: bool,
}

impl Reader<'_> {
    /// Reads the distribution `file_name`; `None` when it is gone. `seen` is what [`stat_listed`] said of it
    /// just now, if it was asked.
    ///
    /// The recorded stamps are always those from before the reading, so a later change makes them wrong. A
    /// distribution that still changes when the retries are used up is recorded as unsettled.
    ///
    /// An error is never about the distribution itself, but, for example, a lack of memory or descriptors.
    pub fn read(&self, file_name: &[u8], mut seen: Option<Stat>) -> io::Result<Option<Reading>> {
        let stat = || stat_listed(self.site.as_fd(), file_name, self.links);
        let mut denied_before = false;
        loop {
            let before = if seen.is_some() { seen.take() } else { stat()? };
            let Some(before) = before else { return Ok(None) };
            let mut parts = Parts::new(*self, file_name, Stamp::of(&before));
            parts.read(&before)?;
            let is_final = self.proves && parts.is_final()?;
            let Some(after) = stat()? else { return Ok(None) };
            let changed = parts.changed || Stamp::of(&before) != Stamp::of(&after);
            // Once, whatever is left of the budget: there can be many that we may not read.
            let denied_at_first = parts.denied && !denied_before;
            if !(changed && self.retries.take() || denied_at_first) {
                let reading = parts.into_reading(!changed);
                return Ok(Some(Reading { is_final, ..reading }));
            }
            denied_before |= parts.denied;
        }
    }
}

/// Whether a distribution, or one of its files with metadata, is a symbolic link, so that an index does not
/// repeat it.
pub fn is_behind_link(site: &SiteDir, file_name: &[u8]) -> bool {
    let files = [METADATA, "PKG-INFO", ENTRY_POINTS].map(|name| path(file_name, name));
    let is_link = |name: &[u8]| {
        let stat = lstat(site.as_fd(), name).ok().flatten();
        stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    };
    is_link(file_name) || files.iter().any(|file| is_link(file))
}

/// A distribution that is being read.
struct Parts<'p> {
    reader: Reader<'p>,
    site: BorrowedFd<'p>,
    file_name: &'p [u8],
    found: Distribution<'static>,
    texts: Texts,
    diagnostics: Vec<String>,
    changed: bool,
    denied: bool,
    is_too_large: bool,
}

impl<'p> Parts<'p> {
    /// A distribution without any file.
    fn new(reader: Reader<'p>, file_name: &'p [u8], itself: Stamp) -> Self {
        let found = Distribution {
            file_name: Cow::Owned(file_name.to_vec()),
            position: 0,
            key: None,
            identity: Some(Identity::default()),
            requirements: Some(Cow::Borrowed("")),
            entry_points: Some(Vec::new()),
            configparser_differs: false,
            top_level: if reader.listing.is_some() { TopLevel::NONE } else { TopLevel::OPAQUE },
            stamps: Stamps { itself, metadata: None, entry_points: None, top_level: None, files: None },
            contents: Contents::default(),
            settled: false,
        };
        let site = reader.site.as_fd();
        Self {
            reader,
            site,
            file_name,
            found,
            texts: Texts::default(),
            diagnostics: Vec::new(),
            changed: false,
            denied: false,
            is_too_large: false,
        }
    }

    fn read(&mut self, stat: &Stat) -> io::Result<()> {
        let (site, file_name) = (self.site, self.file_name);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if self.reader.links == Links::Refuse && self.read_usual()? => {}
            FileType::Directory => match open_dir(site, file_name, self.reader.links) {
                Ok(directory) => self.read_directory(directory.as_fd())?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => self.changed = true,
                Err(error) => {
                    self.changed |= is_transient(error.into());
                    self.denied |= error == Errno::ACCESS;
                    self.hide_all(&reason(error.into())?);
                }
            },
            FileType::RegularFile => {
                let text = read_text(site, file_name, METADATA_SIZE, self.reader.links)?;
                self.take_identity(None, text);
            }
            FileType::Symlink => {
                self.hide_all("a symbolic link");
                // Where it leads to a directory, a reader sees the stamps of what is there.
                self.found.stamps = stamps(site, file_name, Stamp::of(stat))?;
            }
            _ => self.hide_identity(None, "neither a directory nor a regular file"),
        }
        Ok(())
    }

    /// Reads a directory with the usual files and without links, by paths from the site directory: that
    /// saves opening the directory itself. Does nothing and returns false for any other.
    fn read_usual(&mut self) -> io::Result<bool> {
        let (site, file_name) = (self.site, self.file_name);
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
        let text = text_of(&metadata, METADATA_SIZE)?;
        if text.is_empty() {
            return Ok(false);
        }
        self.found.stamps.metadata = text.stamp;
        self.take_identity(Some(name), text);
        self.read_top_level(|name, limit| read_text_beneath(site, &path(file_name, name), limit))?;
        if let Some(file) = entry_points {
            self.take_entry_points(text_of(&file, ENTRY_POINTS_SIZE)?);
        }
        Ok(true)
    }

    /// Reads the files in the order of `importlib.metadata`: METADATA, and PKG-INFO where that is missing or
    /// empty.
    fn read_directory(&mut self, directory: BorrowedFd<'_>) -> io::Result<()> {
        let expected = name::metadata_file(self.file_name);
        let mut found = None;
        for candidate in [METADATA, "PKG-INFO"] {
            let text = read_text(directory, candidate.as_bytes(), METADATA_SIZE, self.reader.links)?;
            self.note_attempt(&text);
            if candidate == expected {
                self.found.stamps.metadata = text.stamp;
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
        if self.found.stamps.metadata.is_none() {
            // Not read, since the other one was there.
            self.found.stamps.metadata = lstat(directory, expected.as_bytes())?.as_ref().map(Stamp::of);
        }
        let links = self.reader.links;
        self.read_top_level(|name, limit| read_text(directory, name.as_bytes(), limit, links))?;
        self.take_entry_points(read_text(directory, ENTRY_POINTS.as_bytes(), ENTRY_POINTS_SIZE, links)?);
        Ok(())
    }

    /// Reads the importable names. `text` reads a file of the distribution.
    fn read_top_level(&mut self, text: impl Fn(&str, u64) -> io::Result<Text>) -> io::Result<()> {
        let Some(listing) = self.reader.listing else { return Ok(()) };
        let declared = text(TOP_LEVEL, TOP_LEVEL_SIZE)?;
        self.note_attempt(&declared);
        self.found.stamps.top_level = declared.stamp;
        let names = match declared.content {
            Content::Absent => None,
            Content::Hidden(_) => Some(TopLevel::OPAQUE),
            Content::Text(text) => {
                let names = top_level::declared(&text);
                self.texts.top_level = Some(text);
                names
            }
        };
        self.found.top_level = match names {
            Some(names) => names,
            None => self.read_file_list(listing, text)?,
        };
        Ok(())
    }

    /// The names that follow from the first list of files there is.
    fn read_file_list(
        &mut self,
        listing: &LazyListing<'_>,
        text: impl Fn(&str, u64) -> io::Result<Text>,
    ) -> io::Result<TopLevel<'static>> {
        for (index, list) in FileList::ALL.into_iter().enumerate() {
            let files = text(list.file_name(), FILES_SIZE)?;
            if files.stamp.is_none() && matches!(files.content, Content::Absent) {
                continue;
            }
            self.note_attempt(&files);
            self.found.stamps.files = files.stamp;
            let (Content::Text(text), Ok(own)) = (files.content, std::str::from_utf8(self.file_name)) else {
                return Ok(TopLevel::OPAQUE);
            };
            if list != FileList::Record || text.is_empty() {
                // The version of Python decides whether another list is used, too.
                for other in &FileList::ALL[index + 1..] {
                    if stamp(self.site, self.file_name, other.file_name())?.is_some() {
                        return Ok(TopLevel::OPAQUE);
                    }
                }
            }
            let names = infer(list, &text, own, &Within { site: self.site, listing: listing.get()? });
            if list == FileList::Record {
                self.texts.record = Some(text);
            }
            return names;
        }
        Ok(TopLevel::NONE)
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
            (Ok(name), Ok(version)) => {
                self.found.identity = Some(Identity { name, version });
                self.found.requirements = headers.requirements.map(Cow::Owned);
                self.found.contents.metadata = self.reader.seals.then(|| Fingerprint::of(&text));
            }
            _ => self.hide_identity(name, "a folded, unprintable or very long Name or Version"),
        }
        if name == Some(METADATA) {
            self.texts.metadata = Some(text);
        }
    }

    fn take_entry_points(&mut self, text: Text) {
        self.note_attempt(&text);
        self.found.stamps.entry_points = text.stamp;
        let text = match text.content {
            Content::Absent => return,
            Content::Hidden(why) => return self.hide_entry_points(&why),
            Content::Text(text) => text,
        };
        match entry_points::parse(&text) {
            Ok(entries) => {
                let mut cost = Cost::of(&self.found);
                cost.add(Cost::of_entry_points(&entries));
                if cost.total() >= self.reader.too_large {
                    self.is_too_large = true;
                    return;
                }
                self.found.entry_points = Some(entries.into_iter().map(EntryPoint::into_owned).collect());
                self.found.configparser_differs = !entry_points::is_read_alike_by_configparser(&text);
                self.found.contents.entry_points = Some(Fingerprint::of(&text));
            }
            Err(diagnostic) => self.hide_entry_points(&diagnostic.to_string()),
        }
        self.texts.entry_points = Some(text);
    }

    /// Whether the distribution is young, and final by its own `RECORD`.
    fn is_final(&mut self) -> io::Result<bool> {
        let is_young = !is_older_than(self.found.stamps.newest_ctime(), UNFINISHED_AFTER);
        if !is_young || self.texts.metadata.is_none() {
            return Ok(false);
        }
        let Ok(directory) = open_dir(self.site, self.file_name, Links::Refuse) else { return Ok(false) };
        if self.found.top_level.kind == Kind::Declared {
            let record = read_text(directory.as_fd(), RECORD.as_bytes(), FILES_SIZE, Links::Refuse)?;
            self.note_attempt(&record);
            if let Content::Text(text) = record.content {
                self.texts.record = Some(text);
            }
        }
        Ok(install_state::is_final(directory.as_fd(), &self.found, &self.texts))
    }

    fn note_attempt(&mut self, text: &Text) {
        self.changed |= text.changed;
        self.denied |= text.denied;
    }

    fn hide_all(&mut self, why: &str) {
        self.found.identity = None;
        self.found.requirements = None;
        self.found.entry_points = None;
        self.found.top_level = TopLevel::OPAQUE;
        self.diagnostics.push(why.to_owned());
    }

    fn hide_identity(&mut self, name: Option<&str>, why: &str) {
        self.found.identity = None;
        self.found.requirements = None;
        self.diagnostics.push(match name {
            Some(name) => format!("{name}: {why}"),
            None => why.to_owned(),
        });
    }

    fn hide_entry_points(&mut self, why: &str) {
        self.found.entry_points = None;
        self.diagnostics.push(format!("{ENTRY_POINTS}: {why}"));
    }

    fn into_reading(mut self, settled: bool) -> Reading {
        let mut found = Distribution { settled, ..self.found };
        let named = found.identity.as_ref().and_then(|identity| identity.name.as_deref());
        found.key = name::key(self.file_name, named).map(Cow::Owned);
        // Without a usable directory name, CPython recognises duplicates by the metadata, and raises where
        // that has no Name. This is left to the reader.
        if found.key.is_none() && !name::has_stem(self.file_name) {
            found.entry_points = None;
            found.contents.entry_points = None;
            found.configparser_differs = false;
            self.is_too_large = false;
        }
        let Self { is_too_large, diagnostics, .. } = self;
        Reading { distribution: found, is_too_large, is_final: false, diagnostics }
    }
}
