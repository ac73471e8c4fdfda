//! The index file as bytes: the model ([`Index`]), reading it ([`parse()`]) and writing it ([`render()`]).
//!
//! `docs/reference/index-format.md` specifies the format. Other programs implement it too, so the specification
//! decides, not this code.

mod parse;
mod render;

use std::borrow::Cow;

use crate::freshness::Stamp;
use crate::metadata::Distribution;

pub use parse::{Invalid, parse};
pub use render::render;

/// First line of every index of this version.
const MAGIC: &str = "epcache-index 1\n";
/// Last line of every index.
const END: &str = "end\n";
/// Length of the second line: 12, 10 and 10 digits, two spaces and the end of the line.
const SIZE_LINE: usize = 12 + 1 + 10 + 1 + 10 + 1;
/// Length of a line of the segment `order`.
const ORDER_LINE: usize = 8;
/// The largest index that is read: some hundred thousand distributions.
pub const MAX_INDEX: u64 = 256 << 20;

/// Everything that an index says about its site directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index<'a> {
    /// The site directory's stamp when it was made.
    pub site: Stamp,
    /// Whether no later change can leave the site directory with that stamp.
    pub settled: bool,
    /// All distributions, sorted by file name.
    pub distributions: Vec<Distribution<'a>>,
    /// Of each distribution, its place in the site directory's own listing.
    pub order: Vec<u32>,
    /// Directories of the interpreter without distributions, sorted by path.
    pub without: Vec<EmptyDirectory<'a>>,
    /// What proves it in a copy of its tree, if it is sealed.
    pub seal: Option<Seal<'a>>,
}

/// A directory that is on the path of the interpreter and holds no distributions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptyDirectory<'a> {
    /// Its path, spelled as the interpreter does.
    pub path: Cow<'a, [u8]>,
    /// Its stamp, links followed; settled.
    pub stamp: Stamp,
}

impl Index<'_> {
    /// Whether the site proof can be given by the site directory's stamp alone.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled && self.distributions.iter().all(|distribution| distribution.settled)
    }
}

/// What a sealed index has beyond the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal<'a> {
    /// The time of the index file itself, in seconds.
    pub time: i64,
    /// The checksum of all names in the site directory (`Listing::checksum`).
    pub names: u64,
    /// Files that change when packages do, sorted by path.
    pub witnesses: Vec<Witness<'a>>,
}

/// A file outside of the site directory that is compared as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness<'a> {
    /// Its path, as the system that it belongs to knows it.
    pub path: Cow<'a, [u8]>,
    /// Its mtime in seconds and its size, 0 for what is no regular file; `None`: there was none.
    pub state: Option<(i64, u64)>,
}
