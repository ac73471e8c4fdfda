//! Text: escapes in the index, and escapes for terminals, logs and shells.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use memchr::arch::all::memchr::One;

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

    use super::{printable, shell_quoted};

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
}
