//! The index file as bytes: the model ([`Index`]), parsing it ([`parse()`]) and rendering it ([`render()`]).
//!
//! `docs/reference/index-format.md` specifies the format. Other programs implement it too, so the specification
//! decides, not this code.

mod header;
mod parse;
mod render;

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use crate::freshness::Stamp;
use crate::metadata::Distribution;

pub use header::is_readable;
pub use parse::{parse, parse_with_lines};
pub use render::{render, render_over};

/// The first line of every index of this version.
const MAGIC: &str = "epcache-index 1\n";
/// The last line of every index.
const END: &str = "end\n";
/// The digits of each number in the second line, the size line: the lengths of file and header, and the
/// checksum of the header.
const SIZE_LINE_DIGITS: [usize; 3] = [12, 10, 10];
/// The length of that line: a space or the end of the line follows each number.
const SIZE_LINE: usize = SIZE_LINE_DIGITS[0] + 1 + SIZE_LINE_DIGITS[1] + 1 + SIZE_LINE_DIGITS[2] + 1;
/// The length of a line of the segment `order`: seven digits and the end of the line.
const ORDER_LINE: usize = 8;

/// The line of a distribution whose requirements are opaque.
const OPAQUE: &str = "-";
/// The value of the line `sealed` where no times are recorded.
const BY_CONTENTS: &str = "contents";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index<'a> {
    /// The stamp of the site directory from before it was listed.
    pub site: Stamp,
    /// Whether that stamp is not racy: no later change can leave the site directory with it.
    pub settled: bool,
    /// Sorted by file name, each of which occurs once. What is carried over is shared with the old index.
    pub distributions: Vec<Rc<Distribution<'a>>>,
    /// The `without` lines of the header, sorted by path.
    pub without: Vec<EmptyDirectory<'a>>,
    /// Present if the index is sealed.
    pub seal: Option<Seal<'a>>,
}

/// An index, and the lines from which it was parsed.
#[derive(Debug)]
pub struct Parsed<'a> {
    pub index: Index<'a>,
    /// The segments in which the line of a distribution does not depend on others: `distributions`, `stamps`,
    /// `top-level`, `requirements` and `contents`.
    lines: [&'a str; 5],
}

/// A directory that is on the path of the interpreter and holds no distributions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptyDirectory<'a> {
    /// As the interpreter spells it.
    pub path: Cow<'a, [u8]>,
    /// Links followed; not racy.
    pub stamp: Stamp,
}

impl<'a> Index<'a> {
    /// Whether the site directory's stamp alone proves everything in the index.
    pub fn is_settled(&self) -> bool {
        self.settled && self.distributions.iter().all(|distribution| distribution.settled)
    }

    /// Leaves out what differs between two builds of the same tree: every time, inode and position.
    pub(crate) fn seal_by_contents(&mut self) {
        self.site = Stamp::RACY;
        self.settled = true;
        self.without.clear();
        self.seal = Some(Seal::Contents);
        for (row, position) in self.distributions.iter_mut().zip(0..) {
            let row = Rc::make_mut(row);
            row.stamps.mark_racy(|_| true);
            row.settled = true;
            row.position = position;
        }
    }

    pub fn find(&self, file_name: &[u8]) -> Option<&Distribution<'a>> {
        let row = self.distributions.binary_search_by(|row| (*row.file_name).cmp(file_name)).ok()?;
        Some(&self.distributions[row])
    }
}

/// The proof of a sealed index, which holds in a copy of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal<'a> {
    /// Times in seconds prove all of it.
    Times {
        /// The mtime of the index file itself, in seconds.
        time: i64,
        /// The hash of all names in the site directory (`Listing::hash`).
        names: u64,
        /// Files that change when packages change, sorted by path.
        witnesses: Vec<Witness<'a>>,
    },
    /// The content of the files proves each distribution, and no time is recorded.
    Contents,
}

impl Seal<'_> {
    /// The mtime that the index file must have, in seconds.
    pub fn time(&self) -> Option<i64> {
        match self {
            Self::Times { time, .. } => Some(*time),
            Self::Contents => None,
        }
    }
}

/// A file outside of the site directory whose state is compared too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness<'a> {
    /// As the system that it belongs to spells it, without `--root`.
    pub path: Cow<'a, [u8]>,
    /// The mtime in seconds and the size (0 if it is no regular file); `None`: it did not exist.
    pub state: Option<(i64, u64)>,
}

/// Where a segment is in the body of the file, as the header records it.
#[derive(Debug, Clone, Copy)]
struct SegmentRange {
    offset: usize,
    length: usize,
    checksum: u64,
}

/// Why bytes are not an intact index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// Of another version, or not an index at all.
    Version,
    /// Without its end mark, or of another length than it records.
    Truncated,
    /// A checksum is wrong, or a line is malformed.
    Corrupt(&'static str),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("not an index of format version 1"),
            Self::Truncated => f.write_str("truncated"),
            Self::Corrupt(what) => write!(f, "corrupt ({what})"),
        }
    }
}

type Result<T> = std::result::Result<T, Invalid>;
