//! Whether an installer has finished with a distribution.
//!
//! An installer creates `X.dist-info` first and fills it later, and gives no sign when it has finished.
//!
//! *By age*: pip, uv and users of pypa/installer write `INSTALLER` and `RECORD` last. Where these are there,
//! some seconds are enough. That proves nothing where `INSTALLER` came with a package or a copy, which its
//! times show.
//!
//! *By content*: the hashes in `RECORD` are those of the files that the installer has or will have written. If
//! the files on disk have them, and no other file is missing or left over, the metadata is final
//! ([`is_final`]). `docs/reference/freshness.md` has the reasons of each condition.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, Stat};
use rustix::io::Errno;

use super::SiteDir;
use super::stamps::{ENTRY_POINTS, METADATA, TOP_LEVEL, path};
use super::text::Body;
use crate::freshness::Stamp;
use crate::freshness::clock::SETTLE_AFTER;
use crate::limits::FILES_SIZE;
use crate::metadata::Distribution;
use crate::metadata::record::{INSTALLER, RECORD, Record};
use crate::metadata::top_level::Kind;
use crate::sys::fs::{Links, open_dir, open_file};

/// The longest `INSTALLER` that is read.
const INSTALLER_SIZE: u64 = 100;

/// Whether the files that installers write last are there. Package managers write them in any order, but
/// run a trigger when they have finished.
pub fn is_complete(site: &SiteDir, distribution: &Distribution<'_>) -> bool {
    is_named(distribution) && has_last_files(site, &distribution.file_name)
}

/// Whether there is metadata with a name, as far as the index repeats it. What an interrupted installer leaves may have
/// none, and a later one may fill it, which changes no site directory.
pub fn is_named(distribution: &Distribution<'_>) -> bool {
    distribution.identity.as_ref().is_none_or(|identity| identity.name.is_some())
}

/// Whether the metadata comes from a package or a copy, as its times show, and was not written in place.
pub fn is_packaged(distribution: &Distribution<'_>) -> bool {
    !was_written_here(distribution.stamps.metadata.unwrap_or(distribution.stamps.itself))
}

/// An extracted or copied file has an older mtime: only its ctime is the present.
fn was_written_here(stamp: Stamp) -> bool {
    u128::from(stamp.ctime.abs_diff(stamp.mtime)) < SETTLE_AFTER.as_nanos()
}

fn has_last_files(site: &SiteDir, file_name: &[u8]) -> bool {
    match find(site, file_name, INSTALLER) {
        Ok(installer) => was_written_here(Stamp::of(&installer)) && has_record(site, file_name),
        // A distribution that is a single file.
        Err(Errno::NOTDIR) => true,
        Err(_) => has_text(site, file_name, "installed-files.txt"),
    }
}

/// What the files say that an installer writes last.
#[derive(Debug)]
pub struct LastFiles {
    pub installer: String,
    pub newest_ctime: i64,
}

/// The files that an installer has written last, if its list of files has been written after `INSTALLER`: it
/// lists that. So it is not the list of the wheel.
pub fn last_files(site: &SiteDir, file_name: &[u8]) -> Option<LastFiles> {
    let directory = open_dir(site, file_name, Links::Refuse).ok()?;
    let read = |name: &str, limit| {
        let file = open_file(&directory, name, Links::Refuse).ok()?;
        let text = String::from_utf8(file.read(limit).ok()?).ok()?;
        Some((text, Stamp::of(&file.stat).ctime))
    };
    let (record, listed) = read(RECORD, FILES_SIZE)?;
    let (installer, named) = read(INSTALLER, INSTALLER_SIZE)?;
    let record = Record::parse(&record, std::str::from_utf8(file_name).ok()?)?;
    record.lists(INSTALLER).then_some(LastFiles { installer, newest_ctime: listed.max(named) })
}

/// Whether there is a `RECORD` that may show that the distribution is final.
pub fn has_record(site: &SiteDir, file_name: &[u8]) -> bool {
    has_text(site, file_name, RECORD)
}

fn has_text(site: &SiteDir, file_name: &[u8], name: &str) -> bool {
    find(site, file_name, name).is_ok_and(|stat| stat.st_size > 0)
}

fn find(site: &SiteDir, file_name: &[u8], name: &str) -> Result<Stat, Errno> {
    rustix::fs::statat(site, path(file_name, name), AtFlags::SYMLINK_NOFOLLOW)
}

/// The texts of a distribution from which its row in the index was made. `None`: there is no such file, or it
/// was not read.
#[derive(Debug, Default)]
pub struct Texts {
    pub metadata: Option<Body>,
    pub entry_points: Option<Body>,
    pub top_level: Option<Body>,
    pub record: Option<Body>,
}

/// Whether the `RECORD` of a distribution shows that everything the index says of it is final. `directory` is
/// that of the distribution.
pub fn is_final(directory: BorrowedFd<'_>, distribution: &Distribution<'_>, texts: &Texts) -> bool {
    let Ok(file_name) = std::str::from_utf8(&distribution.file_name) else { return false };
    let record = texts.record.as_deref().and_then(|text| Record::parse(text, file_name));
    record.is_some_and(|record| {
        has_final_names(directory, distribution, &record)
            && has_listed_content(&record, texts)
            && has_listed_files(directory, &record) == Some(true)
    })
}

/// Whether no line is missing in the list of files, and no later list can give other importable names.
fn has_final_names(directory: BorrowedFd<'_>, distribution: &Distribution<'_>, record: &Record<'_>) -> bool {
    let is_last = match distribution.top_level.kind {
        Kind::Declared => true,
        // The list of the wheel lacks the files that the installer adds.
        Kind::Inferred | Kind::None => record.lists(INSTALLER),
        Kind::Opaque => false,
    };
    is_last && (record.is_whole || is_by_known_installer(directory))
}

/// Whether the list was written by an installer that never shows the beginning of one: pip renames a file that
/// is complete, and uv writes blocks, whose length [`Record::parse`] refuses.
fn is_by_known_installer(directory: BorrowedFd<'_>) -> bool {
    let file = open_file(directory, INSTALLER, Links::Refuse);
    let text = file.and_then(|file| file.read(INSTALLER_SIZE)).unwrap_or_default();
    matches!(text.trim_ascii(), b"pip" | b"uv")
}

/// Whether the files have the hashes of the list; those that are missing are not in it.
fn has_listed_content(record: &Record<'_>, texts: &Texts) -> bool {
    let Texts { metadata: Some(metadata), entry_points, top_level, .. } = texts else { return false };
    let is_as_listed = |name, text: &Option<Body>| match text {
        Some(text) => record.confirms(name, text),
        None => !record.lists(name),
    };
    record.confirms(METADATA, metadata)
        && is_as_listed(ENTRY_POINTS, entry_points)
        && is_as_listed(TOP_LEVEL, top_level)
}

/// Whether the files in the directory of the distribution are those of the list.
fn has_listed_files(directory: BorrowedFd<'_>, record: &Record<'_>) -> Option<bool> {
    let names = record.names();
    let mut found = BTreeSet::new();
    for entry in Dir::read_from(directory).ok()? {
        let entry = entry.ok()?;
        match entry.file_name().to_str().ok()? {
            "." | ".." => {}
            name if names.contains(name) => drop(found.insert(name.to_owned())),
            // A file that is still to be renamed, or listed.
            _ => return Some(false),
        }
    }
    let exists = |path| rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    Some(found.len() == names.len() && record.nested().all(exists))
}
