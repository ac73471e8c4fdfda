//! The model of a distribution and the parsers of its files. Nothing here opens a file.
//!
//! A distribution is a `.dist-info` directory, or an `.egg-info` directory or file: every directory entry
//! with such a suffix, as for `importlib.metadata`. Empty directories, the `~name-1.dist-info` that an
//! interrupted pip leaves, and two directories of one name all count, since every Python program sees them.

pub mod cost;
pub mod entry_points;
pub mod file_list;
pub mod headers;
pub mod name;
pub(crate) mod record;
pub mod top_level;
mod white_space;

use std::borrow::Cow;

use crate::checksum::hash;
use crate::freshness::Stamp;
pub use entry_points::EntryPoint;
pub use top_level::TopLevel;

/// One distribution, as the index describes it. Its texts may borrow from an old index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution<'a> {
    /// Name of the directory (or file) in its site directory: any bytes but `/` and NUL.
    pub file_name: Cow<'a, [u8]>,
    /// Its place in the listing of the site directory, in the order in which `importlib.metadata` finds
    /// distributions.
    pub position: u32,
    /// The name by which `entry_points()` recognises duplicates ([`name::key`]); `None` where only the reader
    /// can find out.
    pub key: Option<Cow<'a, str>>,
    /// `None`: opaque, a reader reads the file.
    pub identity: Option<Identity<'a>>,
    /// The requirements ([`headers::Headers::requirements`]); `None`: opaque.
    pub requirements: Option<Cow<'a, str>>,
    /// In the order of the file; `None`: opaque.
    pub entry_points: Option<Vec<EntryPoint<'a>>>,
    /// CPython 3.9 may parse the entry points differently ([`entry_points::is_read_alike_by_configparser`]).
    pub configparser_differs: bool,
    pub top_level: TopLevel<'a>,
    /// Taken before anything was read.
    pub stamps: Stamps,
    pub contents: Contents,
    /// Whether its installer has certainly finished.
    pub settled: bool,
}

/// The two headers of the metadata that an index repeats, as they are written there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    pub name: Option<Cow<'a, str>>,
    pub version: Option<Cow<'a, str>>,
}

/// The stamps that show a change of a distribution; `None` where there is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    /// Of the directory, or of the `.egg-info` file.
    pub itself: Stamp,
    /// Of METADATA or PKG-INFO.
    pub metadata: Option<Stamp>,
    /// Of `entry_points.txt`.
    pub entry_points: Option<Stamp>,
    /// Of `top_level.txt`.
    pub top_level: Option<Stamp>,
    /// Of the list of files ([`file_list::FileList`]); also `None` where that was not needed.
    pub files: Option<Stamp>,
}

/// The content of the files that were read: where it is the same, the index is right whatever their stamps are. `None`
/// where there is no such file, where the index does not repeat it, or where it was not wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Of METADATA or PKG-INFO. Only sealing asks for it, because it is long.
    pub metadata: Option<Fingerprint>,
    /// Of `entry_points.txt`.
    pub entry_points: Option<Fingerprint>,
}

/// What is compared of the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// In bytes.
    pub length: u64,
    pub hash: u64,
}

impl Fingerprint {
    pub(crate) fn of(text: &str) -> Self {
        Self { length: text.len() as u64, hash: hash(text.as_bytes()) }
    }
}

impl Stamps {
    /// Replaces the stamps whose ctime `is_racy` by [`Stamp::RACY`], so that they prove nothing.
    pub(crate) fn mark_racy(&mut self, is_racy: impl Fn(i64) -> bool) {
        let all = [Some(&mut self.itself), self.metadata.as_mut(), self.entry_points.as_mut()];
        for stamp in all.into_iter().chain([self.top_level.as_mut(), self.files.as_mut()]).flatten() {
            if is_racy(stamp.ctime) {
                *stamp = Stamp::RACY;
            }
        }
    }

    /// Whether the metadata file is certainly another one than that of `other`, whatever is in it. Of a
    /// distribution that is a single file, that file.
    pub(crate) fn are_of_another_file(&self, other: &Self) -> bool {
        let inode = |stamps: &Self| stamps.metadata.unwrap_or(stamps.itself).inode;
        let inodes = [inode(self), inode(other)];
        inodes[0] != inodes[1] && !inodes.contains(&Stamp::RACY.inode)
    }

    /// Whether the stamps are equal. A racy one may stand for any other.
    pub(crate) fn agree_with(&self, other: &Self) -> bool {
        let agree = |one: Option<Stamp>, other: Option<Stamp>| match (one, other) {
            (Some(one), Some(other)) => one == other || [one, other].contains(&Stamp::RACY),
            (one, other) => one == other,
        };
        self.each().into_iter().zip(other.each()).all(|(one, other)| agree(one, other))
    }

    fn each(&self) -> [Option<Stamp>; 5] {
        [Some(self.itself), self.metadata, self.entry_points, self.top_level, self.files]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Stamp> + use<> {
        self.each().into_iter().flatten()
    }

    /// The time of the latest change, in ns.
    pub(crate) fn newest_ctime(&self) -> i64 {
        self.all().map(|stamp| stamp.ctime).fold(i64::MIN, i64::max)
    }
}

impl Distribution<'_> {
    /// Whether a reader has to read at least one of its files.
    pub(crate) fn is_opaque(&self) -> bool {
        self.identity.is_none() || self.entry_points.is_none()
    }

    /// Whether `other` says the same: everything but the stamps, the bytes of the files and the position.
    pub(crate) fn same_content_as(&self, other: &Distribution<'_>) -> bool {
        self.file_name == other.file_name
            && self.key == other.key
            && self.identity == other.identity
            && self.requirements == other.requirements
            && self.entry_points == other.entry_points
            && self.configparser_differs == other.configparser_differs
            && self.top_level == other.top_level
    }
}
