//! The model of a distribution and the parsers of its files. Nothing here opens a file.
//!
//! A distribution is a `.dist-info` directory, or an `.egg-info` directory or file: every directory entry
//! with such a suffix, as for `importlib.metadata`. So the leftovers `~name-1.dist-info` of an interrupted
//! pip and empty directories are distributions too, since every Python program sees them; the same holds
//! for two directories with one name.

pub mod entry_points;
pub mod file_list;
pub mod headers;
pub mod name;
pub mod top_level;

use std::borrow::Cow;

use crate::freshness::Stamp;
pub use entry_points::EntryPoint;
pub use top_level::TopLevel;

/// One distribution, as the index describes it.
///
/// Texts borrow from the old index where they are carried over from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution<'a> {
    /// Name of the directory (or file) in its site directory: any bytes but `/` and NUL.
    pub file_name: Cow<'a, [u8]>,
    /// What `entry_points()` deduplicates by; `None` where only the reader can tell.
    pub key: Option<Cow<'a, str>>,
    /// Name and version; `None`: opaque, a reader asks the file itself.
    pub identity: Option<Identity<'a>>,
    /// All entry points in the file's order; `None`: opaque.
    pub entry_points: Option<Vec<EntryPoint<'a>>>,
    /// CPython 3.9 may read them in another way ([`entry_points::is_read_alike_by_configparser`]).
    pub configparser_differs: bool,
    /// The importable names.
    pub top_level: TopLevel<'a>,
    /// The stamps taken before anything was read.
    pub stamps: Stamps,
    /// Whether whoever installs it must have finished.
    pub settled: bool,
}

/// The two headers of a distribution's metadata that an index repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The `Name` header as written.
    pub name: Option<Cow<'a, str>>,
    /// The `Version` header as written.
    pub version: Option<Cow<'a, str>>,
}

/// The stamps by which a change of a distribution is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    /// Of the directory (or the `.egg-info` file) itself.
    pub itself: Stamp,
    /// Of its METADATA or PKG-INFO, if there is one.
    pub metadata: Option<Stamp>,
    /// Of its `entry_points.txt`, if there is one.
    pub entry_points: Option<Stamp>,
    /// Of its `top_level.txt`, if there is one.
    pub top_level: Option<Stamp>,
    /// Of its list of files ([`file_list::FileList`]), if there is one and it was asked for.
    pub files: Option<Stamp>,
}

impl Stamps {
    /// Replaces those for which `may_be_repeated` says, of their ctime, that a later change may leave
    /// the same behind: they must prove nothing.
    pub fn mark_racy(&mut self, may_be_repeated: impl Fn(i64) -> bool) {
        let all = [Some(&mut self.itself), self.metadata.as_mut(), self.entry_points.as_mut()];
        for stamp in all.into_iter().chain([self.top_level.as_mut(), self.files.as_mut()]).flatten() {
            if may_be_repeated(stamp.ctime) {
                *stamp = Stamp::RACY;
            }
        }
    }

    /// Whether `self` can be the stamps of what has those of `other` now, as far as they tell.
    #[must_use]
    pub fn agree_with(&self, other: &Self) -> bool {
        let agree = |one: Option<Stamp>, other: Option<Stamp>| match (one, other) {
            (Some(one), Some(other)) => one == other || [one, other].contains(&Stamp::RACY),
            (one, other) => one == other,
        };
        agree(Some(self.itself), Some(other.itself))
            && agree(self.metadata, other.metadata)
            && agree(self.entry_points, other.entry_points)
            && agree(self.top_level, other.top_level)
            && agree(self.files, other.files)
    }

    /// All that there are.
    pub fn all(&self) -> impl Iterator<Item = Stamp> + use<> {
        let all = [Some(self.itself), self.metadata, self.entry_points, self.top_level, self.files];
        all.into_iter().flatten()
    }

    /// The time of the latest change that these stamps show, in ns.
    #[must_use]
    pub fn newest_ctime(&self) -> i64 {
        self.all().map(|stamp| stamp.ctime).fold(i64::MIN, i64::max)
    }
}

impl Distribution<'_> {
    /// The name to show a person: that of the metadata, otherwise the directory's.
    #[must_use]
    pub fn display_name(&self) -> Cow<'_, str> {
        match self.identity.as_ref().and_then(|identity| identity.name.as_deref()) {
            Some(name) => Cow::Borrowed(name),
            None => String::from_utf8_lossy(&self.file_name),
        }
    }

    /// Whether `other` says the same, stamps aside.
    #[must_use]
    pub fn same_content_as(&self, other: &Distribution<'_>) -> bool {
        self.file_name == other.file_name
            && self.key == other.key
            && self.identity == other.identity
            && self.entry_points == other.entry_points
            && self.configparser_differs == other.configparser_differs
            && self.top_level == other.top_level
    }
}
