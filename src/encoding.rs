//! Escapes in the index, escapes for terminals and logs, and the checksum of the index.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The checksum of `bytes`: their little-endian number modulo the largest prime below 2^30.
///
/// Python computes it with built-in integers at the speed of C. Importing `zlib` or `binascii` there would
/// take longer than the whole look-up.
pub fn checksum(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 1_073_741_789;
    // Horner's rule from the most significant end, 32 bits at a time. The remainder stays below 2^30, so there
    // is room for the next 32 bits.
    let words = bytes.chunks_exact(4);
    let spell = |digits: &[u8]| digits.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let mut remainder = spell(words.remainder()) % PRIME;
    for word in words.rev() {
        remainder = (remainder << 32 | spell(word)) % PRIME;
    }
    remainder
}

/// Appends a file name to `text`, with `%XX` for every byte that a line of UTF-8 text can't hold.
pub fn escape(text: &mut String, file_name: &[u8]) {
    for chunk in file_name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c < ' ' || c == '\x7f' || c == '%' {
                let _ = write!(text, "%{:02X}", u32::from(c));
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// Undoes [`escape`]; `None` for malformed text.
pub fn unescape(text: &str) -> Option<Cow<'_, [u8]>> {
    let mut parts = text.split('%');
    let plain = parts.next()?;
    if plain.len() == text.len() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = plain.as_bytes().to_vec();
    for part in parts {
        // Rust's parser accepts a `+` too.
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some(Cow::Owned(bytes))
}

/// `text` with escapes for the characters that could confuse a terminal or a log: control characters, and
/// those that change the direction of text.
pub fn printable(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if odd(c) {
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn the_checksum_is_the_remainder_of_the_little_endian_number() {
        // int.from_bytes(data, "little") % 1073741789, computed by Python
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 97),
            (b"epcache-index 1\n", 22_034_879),
            (b"abcde", 610_507_200),
            (&[0xff; 33], 466_170_374),
        ] {
            assert_eq!(checksum(bytes), expected, "{bytes:?}");
        }
    }
}
