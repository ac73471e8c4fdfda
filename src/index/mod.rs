//! The index file: what it holds ([`Index`]), reading it ([`parse()`]), making it ([`render()`]), where it
//! lies ([`location`]), putting it there ([`mod@write`]), removing those that nobody keeps ([`unkept`]).
//!
//! `docs/index-format.md` is the specification of the format; other programs implement it too, so it
//! and not this code decides.
//!
//! # Durability
//! An index is written to a temporary file and renamed, without `fsync`. A power cut may leave a torn
//! file, which every reader recognises by its checks, or the old file. Neither can be ruled out by a
//! sync at the end of our work, since the package manager's own files become durable at other times;
//! what closes this gap is the refresh at boot (`epcache-refresh.service`).

pub mod location;
mod parse;
mod render;
pub mod unkept;
pub mod write;

use std::borrow::Cow;

use crate::distribution::Distribution;
use crate::freshness::Stamp;
use crate::freshness::seal::Seal;

pub(crate) use parse::unescape;
pub use parse::{Invalid, parse};
pub(crate) use render::escape;
pub use render::render;

/// First line of every index of this version.
const MAGIC: &str = "epcache-index 1\n";
/// Last line of every index.
const END: &str = "end\n";
/// Length of the second line: 12, 10 and 10 digits, two spaces and the end of the line.
const MEASURES: usize = 12 + 1 + 10 + 1 + 10 + 1;
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
    pub without: Vec<Without<'a>>,
    /// What proves it in a copy of its tree, if it is sealed.
    pub seal: Option<Seal<'a>>,
}

/// A directory that is on the path of the interpreter and holds no distributions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Without<'a> {
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

/// The check of `bytes`: the number they spell in little-endian, modulo the largest prime below 2^30.
///
/// Chosen because Python computes it with built-in integers at the speed of C, where importing
/// `zlib` or `binascii` would cost more than the whole look-up.
pub(crate) fn check(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 1_073_741_789;
    // Horner's rule from the most significant end, a 32-bit digit at a time: the remainder stays below
    // 2^30, so that there is room for the next digit.
    let words = bytes.chunks_exact(4);
    let spell = |digits: &[u8]| digits.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let mut remainder = spell(words.remainder()) % PRIME;
    for word in words.rev() {
        remainder = (remainder << 32 | spell(word)) % PRIME;
    }
    remainder
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn the_check_is_the_remainder_of_the_little_endian_number() {
        // int.from_bytes(data, "little") % 1073741789, computed by Python
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 97),
            (b"epcache-index 1\n", 22_034_879),
            (b"abcde", 610_507_200),
            (&[0xff; 33], 466_170_374),
        ] {
            assert_eq!(check(bytes), expected, "{bytes:?}");
        }
    }
}
