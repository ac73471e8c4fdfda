//! White space and line ends as the methods of Python's `str` have them. They differ from Rust's.

use crate::encoding::find;

/// The characters at which `str.splitlines()` splits. `\r\n` gives an additional empty line here, which is
/// skipped.
pub(super) fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// `str.strip()`: removes Unicode white space, and four separators that are no white space for Rust.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.isspace()` of one character.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// `str.splitlines()`.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    // Many bytes at once, since no decision is made for a single one.
    let is_usual =
        |chunk: &[u8]| chunk.iter().fold(true, |usual, byte| usual & matches!(byte, b'\n' | b' '..=b'\x7f'));
    let usual = text.as_bytes().chunks(64).all(is_usual);
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = if usual { find(b'\n', rest.as_bytes()) } else { rest.find(ends_line) };
        let Some(end) = end else { return Some(std::mem::take(&mut rest)) };
        let line = &rest[..end];
        let mut after = rest[end..].chars();
        if after.next() == Some('\r') && after.as_str().starts_with('\n') {
            after.next();
        }
        rest = after.as_str();
        Some(line)
    })
}
