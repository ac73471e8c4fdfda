//! Escapes in the index, escapes for terminals, logs and shells, the checksum of the index, and hashes.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use memchr::arch::all::memchr::One;
use sha2::{Digest, Sha256};

/// The checksum of `bytes`: their little-endian number modulo the largest prime below 2^30.
///
/// Python computes it with built-in integers at the speed of C. Importing `zlib` or `binascii` there would
/// take longer than the whole look-up.
pub fn checksum(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 1_073_741_789;
    /// 2^32 to the power of `exponent`, modulo the prime.
    const fn weight(exponent: u32) -> u64 {
        let (mut weight, mut done) = (1, 0);
        while done < exponent {
            weight = (weight << 32) % PRIME;
            done += 1;
        }
        weight
    }
    /// How much more a block of 64 bytes weighs than the one before it.
    const BLOCK: u64 = weight(16);
    const WEIGHTS: [u64; 4] = [weight(0), weight(1), weight(2), weight(3)];
    // Horner's rule from the most significant end. A block has four parts, and each has a sum of its own, so
    // that the processor computes them at the same time. A word has 32 bits and all other factors have 30, so there
    // is room for the products of a part and its sum.
    let add = |sums: &mut [u64; 4], block: &[u8; 64]| {
        for (at, sum) in sums.iter_mut().enumerate() {
            let word = |number: usize| {
                let at = 16 * at + 4 * number;
                u64::from(u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]))
            };
            let [first, second, third, fourth] = WEIGHTS;
            let part = word(0) * first + word(1) * second + word(2) * third + word(3) * fourth;
            *sum = (*sum * BLOCK + part % PRIME) % PRIME;
        }
    };
    let (mut blocks, rest) = bytes.split_at(bytes.len() / 64 * 64);
    let mut most_significant = [0; 64];
    most_significant[..rest.len()].copy_from_slice(rest);
    let mut sums = [0; 4];
    add(&mut sums, &most_significant);
    while let Some((before, block)) = blocks.split_last_chunk() {
        add(&mut sums, block);
        blocks = before;
    }
    sums.iter().rev().fold(0, |total, sum| (total * weight(4) + sum) % PRIME)
}

/// A hash of `bytes`: their little-endian number modulo the largest prime below 2^60.
///
/// It proves that a file or a listing is the one that was read, so two different ones must not have the same by chance.
/// Python computes it as it does a [`checksum`], which only has to detect damage.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const BITS: u32 = 60;
    /// What 2^60 is modulo the prime.
    const REST: u64 = 93;
    const PRIME: u64 = (1 << BITS) - REST;
    let fold = |number: u128| (number >> BITS) * u128::from(REST) + (number & ((1 << BITS) - 1));
    // Horner's rule from the most significant end. 124 bits are folded to 71, and those to less than 2^60 + 2^18.
    let add = |hash: u64, word: u64| {
        let folded = fold(fold(u128::from(hash) << 64 | u128::from(word))) as u64;
        if folded < PRIME { folded } else { folded - PRIME }
    };
    let (mut words, rest) = bytes.split_at(bytes.len() / 8 * 8);
    let mut most_significant = [0; 8];
    most_significant[..rest.len()].copy_from_slice(rest);
    let mut hash = add(0, u64::from_le_bytes(most_significant));
    while let Some((before, word)) = words.split_last_chunk() {
        hash = add(hash, u64::from_le_bytes(*word));
        words = before;
    }
    hash
}

/// The first place of `byte` in `bytes`.
///
/// The functions of the crate's root first ask the processor what it can. For a virtual machine, that takes longer
/// than searching a small index.
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    One::new(byte).find(bytes)
}

/// All places of `byte` in `bytes`.
pub(crate) fn places(byte: u8, bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let place = start + find(byte, &bytes[start..])?;
        start = place + 1;
        Some(place)
    })
}

/// Appends the decimal digits of a number. This is faster than `write!`, which counts for the thousands of
/// numbers of an index.
pub(crate) fn push_number(text: &mut String, number: impl itoa::Integer) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// The SHA-256 of `bytes` as a `RECORD` spells it: base64 with the letters for URLs, and without padding.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(43);
    for group in Sha256::digest(bytes).chunks(3) {
        let bits =
            group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        let digits = [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]));
        text.extend(&digits[..=group.len()]);
    }
    text
}

/// Appends a file name to `text`, with `%XX` for every byte that a line of UTF-8 text can't hold.
pub fn escape(text: &mut String, file_name: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'%';
    if let (true, Ok(plain)) = (file_name.iter().all(is_plain), std::str::from_utf8(file_name)) {
        return text.push_str(plain);
    }
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
    let Some(first) = find(b'%', text.as_bytes()) else { return Some(Cow::Borrowed(text.as_bytes())) };
    let mut bytes = text.as_bytes()[..first].to_vec();
    let parts = text[first + 1..].split('%');
    for part in parts {
        // Rust's parser accepts a `+` too.
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some(Cow::Owned(bytes))
}

/// Whether a character could confuse a terminal, a log or its reader: control characters, those that change
/// the direction of text, and those that are invisible.
///
/// These are Unicode's categories Cc, Zl and Zp, the property `Default_Ignorable_Code_Point`, and the marks of
/// interlinear annotations.
pub(crate) fn is_confusing(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// `text` with escapes for the characters that [could confuse](is_confusing) a terminal or a log.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_confusing) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_confusing(c) {
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// A path as one word of a shell command, as Python's `shlex.quote` writes it.
///
/// A path that [`printable`] would change, or that is not UTF-8, becomes `$'...'` with octal escapes. Quotes and
/// backslashes are escapes there, too, so that a shell without `$'...'` takes it for another path, and still
/// for one word.
pub fn shell_quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(is_plain) => text.to_owned(),
        Ok(text) if !text.contains(is_confusing) => format!("'{}'", text.replace('\'', r#"'"'"'"#)),
        _ => octal_quoted(bytes),
    }
}

fn octal_quoted(bytes: &[u8]) -> String {
    let mut quoted = String::from("$'");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_confusing(c) || matches!(c, '\'' | '\\') {
                push_octal(&mut quoted, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                quoted.push(c);
            }
        }
        push_octal(&mut quoted, chunk.invalid());
    }
    quoted.push('\'');
    quoted
}

fn push_octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::process::Command;

    use super::{checksum, hash, printable, sha256, shell_quoted};

    #[test]
    fn a_quoted_path_is_one_word_for_every_shell() {
        // Whether a shell must understand the form, or may take it for another word.
        let paths: [(&[u8], bool); 13] = [
            (b"/usr/lib/python3.13", true),
            (b"", true),
            (b"~", true),
            (b"a b", true),
            (b"$(>x)`>x`", true),
            (b"a;>x", true),
            (b"it's", true),
            (b"'; >x; '", true),
            (b"back\\slash !x* \"\\\"", true),
            ("\u{e9}\u{1f40d}".as_bytes(), true),
            (b"line\n>x\n", false),
            (b"\xff'; >x; \\'", false),
            ("\u{202e}\u{9b}31m$(>x)'\\\u{ad}".as_bytes(), false),
        ];
        for shell in ["sh", "bash"] {
            for (path, everywhere) in paths {
                let quoted = shell_quoted(Path::new(OsStr::from_bytes(path)));
                assert_eq!(printable(&quoted), quoted);
                let script = format!("set -- {quoted}; echo $#; printf %s \"$1\"");
                let place = tempfile::tempdir().expect("a directory");
                let mut command = Command::new(shell);
                command.args(["-c", &script]).current_dir(place.path());
                // Not on this machine.
                let Ok(output) = command.output() else { continue };
                let out =
                    output.stdout.strip_prefix(b"1\n").unwrap_or_else(|| panic!("{script}: {output:?}"));
                assert!(out == path || shell == "sh" && !everywhere, "{script}: {output:?}");
                assert!(!place.path().join("x").exists(), "{script}");
            }
        }
    }

    #[test]
    fn hashes_are_spelled_as_in_a_record() {
        // base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"="), computed by Python
        assert_eq!(sha256(b""), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
        assert_eq!(sha256(b"pip\n"), "zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg");
        assert_eq!(sha256(&[0xff; 65]), "hVyaKP_yu71xMnFlVUoAxv3UTV1YwfErj9_ym11n8AE");
    }

    #[test]
    fn the_hash_is_the_remainder_of_the_little_endian_number() {
        // int.from_bytes(data, "little") % (2**60 - 93), computed by Python
        let long: Vec<u8> = (0..1280u32).map(|number| number as u8).collect();
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 97),
            (b"epcache-index 1\n", 788_732_676_426_599_379),
            (b"abcdefgh", 605_565_260_566_586_511),
            (&[0xff; 33], 1_255_023_015_100_415),
            (&long, 902_417_474_394_225_343),
            // The prime itself, and the number before it.
            (&((1u64 << 60) - 93).to_le_bytes(), 0),
            (&((1u64 << 60) - 94).to_le_bytes(), (1 << 60) - 94),
        ] {
            assert_eq!(hash(bytes), expected, "{bytes:?}");
        }
    }

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
