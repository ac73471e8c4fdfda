//! Parser of `entry_points.txt`, equal to `importlib.metadata` of CPython 3.10 to 3.13.
//!
//! Those versions do not use `configparser`. They split the text into lines, strip each, and take it for a
//! comment, a `[group]` or `name = value` (`importlib.metadata.Sectioned`). Line ends and white space are
//! Python's, which differ from Rust's.

use std::borrow::Cow;
use std::collections::HashSet;

use super::white_space::{ends_line, is_space, strip};
use crate::limits::{ENTRY_POINTS, ENTRY_POINTS_LENGTH};

/// One entry point, spelled as in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPoint<'a> {
    /// The text between the brackets of the section.
    pub group: Cow<'a, str>,
    /// The text before the first `=`.
    pub name: Cow<'a, str>,
    /// The text after it, not interpreted: object reference and extras.
    pub value: Cow<'a, str>,
}

impl<'a> EntryPoint<'a> {
    fn borrowed(group: &'a str, name: &'a str, value: &'a str) -> Self {
        Self { group: group.into(), name: name.into(), value: value.into() }
    }

    pub(crate) fn into_owned(self) -> EntryPoint<'static> {
        EntryPoint {
            group: Cow::Owned(self.group.into_owned()),
            name: Cow::Owned(self.name.into_owned()),
            value: Cow::Owned(self.value.into_owned()),
        }
    }
}

/// Why an index can't hold the entry points of a file, so that readers read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnostic {
    /// A line without `=`: CPython raises `TypeError` for the whole call.
    NoEqualsSign,
    /// A tab or NUL inside a field, which a line of an index can't hold.
    ControlCharacter,
    /// More than an index holds of one distribution.
    TooMany,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoEqualsSign => "a line is neither a comment, a [group] nor name = value",
            Self::ControlCharacter => "a tab or NUL in a name or value",
            Self::TooMany => "more entry points than an index holds of one distribution",
        })
    }
}

/// Parses a whole file. Entries before the first `[group]` are dropped, as CPython does.
///
/// Fails at the first diagnostic. CPython raises for the whole file on some of them, so nothing of it may
/// be used.
pub fn parse(text: &str) -> Result<Vec<EntryPoint<'_>>, Diagnostic> {
    let mut entries = Vec::new();
    let mut length = 0;
    let mut group = None;
    for line in text.split(ends_line).map(strip) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') && line.ends_with(']') {
            let name = line.trim_matches(['[', ']']);
            group = Some((name, is_field(name)));
            continue;
        }
        // CPython skips such lines before it looks for the `=`.
        let Some((group, is_group_field)) = group else { continue };
        let (name, value) = line.split_once('=').ok_or(Diagnostic::NoEqualsSign)?;
        let (name, value) = (strip(name), strip(value));
        if !(is_group_field && is_field(name) && is_field(value)) {
            return Err(Diagnostic::ControlCharacter);
        }
        length += group.len() + name.len() + value.len();
        if entries.len() == ENTRY_POINTS || length > ENTRY_POINTS_LENGTH {
            return Err(Diagnostic::TooMany);
        }
        entries.push(EntryPoint::borrowed(group, name, value));
    }
    Ok(entries)
}

/// Whether a line of an index can hold a text as one field.
fn is_field(text: &str) -> bool {
    !text.contains(['\t', '\0'])
}

/// Whether CPython 3.9, which uses `configparser`, certainly finds the same in a text as [`parse`]. In doubt
/// it returns false.
pub fn is_read_alike_by_configparser(text: &str) -> bool {
    let odd = |c: char| !matches!(c, ' ' | '\t' | '\n' | '\r') && (is_space(c) || c.is_control());
    // Of the line breaks, only those remain that both parsers know. `%` begins an interpolation.
    if text.contains(odd) || text.contains('%') {
        return false;
    }
    let mut groups = HashSet::new();
    let mut names = HashSet::new();
    let mut in_group = false;
    // The indentation beyond which a line continues the value above it.
    let mut limit = None;
    for line in text.split(['\n', '\r']) {
        let stripped = line.trim_matches([' ', '\t']);
        if stripped.is_empty() || stripped.starts_with('#') {
            continue;
        }
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        if limit.is_some_and(|limit| indentation > limit) {
            return false;
        }
        if let Some(rest) = stripped.strip_prefix('[') {
            let Some(group) = rest.strip_suffix(']') else { return false };
            if matches!(group, "" | "DEFAULT") || group.contains(['[', ']']) || !groups.insert(group) {
                return false;
            }
            names.clear();
            in_group = true;
            limit = None;
            continue;
        }
        let name = stripped.split_once('=').map_or("", |(name, _)| name.trim_end_matches([' ', '\t']));
        if !in_group || name.is_empty() || stripped.starts_with(';') || !names.insert(name) {
            return false;
        }
        limit = Some(indentation);
    }
    true
}

/// Whether a value certainly is an object reference (`package.module:object [extra]`). In doubt it returns
/// false.
///
/// `importlib_metadata` 8.7 to 9 and CPython 3.15 refuse to create an entry point from any other value.
pub fn is_plainly_a_reference(value: &str) -> bool {
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
    };
    let (object, extras) = match value.split_once('[') {
        Some((object, extras)) => (object.trim_end_matches(' '), extras),
        None => (value, "]"),
    };
    let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
    if !extras.ends_with(']') || !extras.bytes().all(printable) {
        return false;
    }
    match object.split_once(':') {
        Some((module, attribute)) => {
            is_word(module.trim_end_matches(' ')) && is_word(attribute.trim_start_matches(' '))
        }
        None => is_word(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_references_are_distinguished_from_other_values() {
        for value in ["m", "a.b_1:c.d", "m : f", "m:f [x]", "m [x, y]", "m:f[]", "m:f [a-b] [c]"] {
            assert!(is_plainly_a_reference(value), "{value}");
        }
        let others =
            ["", ":f", "m:", "in-valid", "m:f # c", "m f", "m:f:g", "é", "m:f [x] y", "m:f [x", " m", "[x]"];
        for value in others {
            assert!(!is_plainly_a_reference(value), "{value}");
        }
    }

    #[test]
    fn a_line_without_a_group_is_skipped_even_when_malformed() {
        assert_eq!(parse("noeq\n[g]\na = m:f"), Ok(vec![EntryPoint::borrowed("g", "a", "m:f")]));
    }

    #[test]
    fn more_than_an_index_holds_is_opaque() {
        let lines = |count| format!("[g]\n{}", "n = m:a\n".repeat(count));
        assert_eq!(parse(&lines(ENTRY_POINTS)).map(|found| found.len()), Ok(ENTRY_POINTS));
        assert_eq!(parse(&lines(ENTRY_POINTS + 1)), Err(Diagnostic::TooMany));
        // Each entry point has a copy of the name of its group.
        let long = |count| format!("[{}]\n{}", "g".repeat(1 << 17), "=\n".repeat(count));
        assert_eq!(parse(&long(8)).map(|found| found.len()), Ok(8));
        assert_eq!(parse(&long(9)), Err(Diagnostic::TooMany));
    }

    #[test]
    fn a_value_with_an_inner_tab_is_opaque() {
        assert_eq!(parse("[g]\na\tb = m:f"), Err(Diagnostic::ControlCharacter));
    }
}
