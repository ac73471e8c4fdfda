//! The stamp of a file, by which a change is recognised.

use super::SECOND;
use crate::encoding::push_number;

/// mtime, ctime, inode and size of one file or directory.
///
/// Stamps are compared for equality, never for order: rpm sets mtimes back, images truncate them. The device
/// number is left out, since it is not stable on NFS and differs between mounts of overlayfs. ctime and inode
/// differ even where a package was rebuilt with clamped mtimes and the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Modification time in ns since the epoch.
    pub mtime: i64,
    /// Change time in ns since the epoch; only the kernel sets it.
    pub ctime: i64,
    pub inode: u64,
    pub size: u64,
}

impl Stamp {
    /// Recorded in place of a racy stamp. No file has it, so it proves nothing.
    pub const RACY: Self = Self { mtime: 0, ctime: 0, inode: 0, size: 0 };

    #[allow(clippy::cast_possible_wrap, clippy::unnecessary_cast, clippy::cast_sign_loss)]
    pub fn of(stat: &rustix::fs::Stat) -> Self {
        // The fields' types differ between architectures and versions of rustix.
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(SECOND).saturating_add(ns);
        Self {
            mtime: ns(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: ns(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
        }
    }

    /// The mtime in whole seconds, rounded down: what is left of it in an image.
    pub fn mtime_seconds(&self) -> i64 {
        self.mtime.div_euclid(SECOND)
    }

    /// Parses four numbers with `separator` between them, as in the index.
    pub fn parse(text: &str, separator: char) -> Option<Self> {
        let mut rest = text.as_bytes();
        let stamp = Self::take(&mut rest, u8::try_from(separator).ok()?)?;
        rest.is_empty().then_some(stamp)
    }

    /// Takes a stamp from the beginning of `text`.
    ///
    /// An index has thousands of stamps, and splitting the text first would take more time.
    pub(crate) fn take(text: &mut &[u8], separator: u8) -> Option<Self> {
        let mtime = signed(text)?;
        skip(text, separator)?;
        let ctime = signed(text)?;
        skip(text, separator)?;
        let inode = unsigned(text)?;
        skip(text, separator)?;
        Some(Self { mtime, ctime, inode, size: unsigned(text)? })
    }

    /// Appends the stamp as in the index: four numbers with a space between two.
    pub(crate) fn spell(&self, text: &mut String) {
        push_number(text, self.mtime);
        text.push(' ');
        push_number(text, self.ctime);
        text.push(' ');
        push_number(text, self.inode);
        text.push(' ');
        push_number(text, self.size);
    }
}

fn skip(text: &mut &[u8], byte: u8) -> Option<()> {
    *text = text.strip_prefix(&[byte])?;
    Some(())
}

fn signed(text: &mut &[u8]) -> Option<i64> {
    match skip(text, b'-') {
        Some(()) => 0_i64.checked_sub_unsigned(unsigned(text)?),
        None => unsigned(text)?.try_into().ok(),
    }
}

fn unsigned(text: &mut &[u8]) -> Option<u64> {
    let mut number: Option<u64> = None;
    while let Some((eight, rest)) =
        text.split_first_chunk().and_then(|(eight, rest)| Some((eight_digits(eight)?, rest)))
    {
        number = Some(number.unwrap_or(0).checked_mul(100_000_000)?.checked_add(eight)?);
        *text = rest;
    }
    while let [digit @ b'0'..=b'9', rest @ ..] = *text {
        number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add((digit - b'0').into())?);
        *text = rest;
    }
    number
}

/// The number that eight digits are, computed for all of them at once: the numbers of neighbours are added with
/// their weights, first of single digits, then of pairs and of fours.
fn eight_digits(digits: &[u8; 8]) -> Option<u64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let digits = u64::from_le_bytes(*digits) ^ (ONES * 0x30);
    // A byte above 9 has its highest bit set, or gets it.
    if (digits | digits.wrapping_add(ONES * 0x76)) & (ONES * 0x80) != 0 {
        return None;
    }
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_stamp_parses_to_the_same_stamp() {
        for mtime in [0, 1, -1, 9, 10, i64::MIN, i64::MAX, 1_763_812_000_123_456_789] {
            for size in [0, 7, 4096, u64::MAX] {
                let stamp = Stamp { mtime, ctime: -mtime.max(-i64::MAX), inode: size / 3, size };
                let mut text = String::new();
                stamp.spell(&mut text);
                assert_eq!(text, format!("{mtime} {} {} {size}", stamp.ctime, stamp.inode));
                assert_eq!(Stamp::parse(&text, ' '), Some(stamp));
                assert_eq!(Stamp::parse(&text.replace(' ', "\t"), '\t'), Some(stamp));
            }
        }
    }

    #[test]
    fn malformed_stamps_are_refused() {
        let numbers = ["", "-", "+1", "1x", "0x1", " 1", "--1", "18446744073709551616", "1.0", "\u{661}"];
        for number in numbers {
            for place in 0..4 {
                let mut fields = ["1"; 4];
                fields[place] = number;
                assert_eq!(Stamp::parse(&fields.join(" "), ' '), None, "{number:?} at {place}");
            }
        }
        for text in ["", "1 1 1", "1 1 1 1 1", "1 1 1 1 ", "1 1 -1 1", "9223372036854775808 1 1 1"] {
            assert_eq!(Stamp::parse(text, ' '), None, "{text:?}");
        }
    }
}
