//! Parser of the headers of METADATA and PKG-INFO that an index repeats, equal to Python's `email` parser.
//!
//! Programs ask for name and version, and pip for the requirements as well. Where versions of CPython differ
//! (folded values), the result is [`Header::Opaque`], and the reader uses its own CPython.

use crate::encoding::{find, places};
use crate::limits::{FIELD_LENGTH, REQUIREMENTS_LENGTH};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    Absent,
    /// The first value, without leading blanks, but with trailing ones.
    Value(String),
    /// Versions of CPython differ on the value, or it is too long for an index, or has a tab or NUL.
    Opaque,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    pub name: Header,
    pub version: Header,
    /// The headers that [`REQUIREMENTS`] names, in the order of the file and separated by tabs: the letter of each
    /// and its value. `None` where one of them is [`Header::Opaque`].
    pub requirements: Option<String>,
}

/// The headers that an index repeats as often as they occur, each with the letter that it has there.
const REQUIREMENTS: [(&str, char); 3] =
    [("requires-dist", 'd'), ("provides-extra", 'e'), ("requires-python", 'p')];

/// Whether a line of an index can be that of [`Headers::requirements`].
pub fn are_requirements(line: &str) -> bool {
    let line = line.as_bytes();
    let begins = |at: usize| {
        line.get(at).is_some_and(|byte| REQUIREMENTS.iter().any(|(_, letter)| *letter == char::from(*byte)))
    };
    line.is_empty() || begins(0) && places(b'\t', line).all(|tab| begins(tab + 1))
}

/// Parses the headers of `text`, which end with the first line that is not a header.
pub fn parse(text: &str) -> Headers {
    let (headers, seen) = scan(text);
    // Python's text mode translates line ends. That matters only if there is another one than "\n" among the
    // lines that were parsed, which are a few of many kilobytes.
    if find(b'\r', &text.as_bytes()[..seen]).is_none() {
        return headers;
    }
    drop(headers); // The memory that a file takes is bounded by its length.
    scan(&with_translated_line_ends(text)).0
}

/// Replaces `\r\n` and `\r` by `\n`.
fn with_translated_line_ends(text: &str) -> String {
    let mut translated = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = find(b'\r', rest.as_bytes()) {
        translated.push_str(&rest[..end]);
        translated.push('\n');
        rest = &rest[end + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    translated.push_str(rest);
    translated
}

/// Parses a text whose lines end with `\n`. Also returns how many bytes it parsed.
fn scan(text: &str) -> (Headers, usize) {
    let mut headers =
        Headers { name: Header::Absent, version: Header::Absent, requirements: Some(String::new()) };
    let mut rest = text;
    while !rest.is_empty() {
        let end = find(b'\n', rest.as_bytes());
        let line = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or("", |end| &rest[end + 1..]);
        if is_continuation(line) || line.starts_with("From ") {
            continue;
        }
        let Some((key, value)) = split_header(line) else { break };
        let is_plain =
            || !is_continuation(rest) && value.len() <= FIELD_LENGTH && !value.contains(['\t', '\0']);
        let take = |header: &mut Header| {
            if *header == Header::Absent {
                *header = if is_plain() { Header::Value(value.to_owned()) } else { Header::Opaque };
            }
        };
        if key.eq_ignore_ascii_case("name") {
            take(&mut headers.name);
        } else if key.eq_ignore_ascii_case("version") {
            take(&mut headers.version);
        } else if let Some((_, letter)) = REQUIREMENTS.iter().find(|(name, _)| key.eq_ignore_ascii_case(name))
        {
            let before = headers.requirements.take().filter(|_| is_plain());
            headers.requirements = before.map(|mut text| {
                if !text.is_empty() {
                    text.push('\t');
                }
                text.push(*letter);
                text.push_str(value);
                text
            });
        }
    }
    headers.requirements = headers.requirements.filter(|text| text.len() <= REQUIREMENTS_LENGTH);
    (headers, text.len() - rest.len())
}

fn is_continuation(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// Splits a line that is a header for `email.feedparser.headerRE`: there is a colon after printable ASCII.
fn split_header(line: &str) -> Option<(&str, &str)> {
    let end = line.bytes().position(|b| !matches!(b, b'!'..=b'9' | b';'..=b'~'))?;
    let value = line[end..].strip_prefix(':')?;
    Some((&line[..end], value.trim_start_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(text: &str) -> Header {
        parse(text).name
    }

    #[test]
    fn all_three_line_endings_are_accepted() {
        let foo = Header::Value("foo".to_owned());
        for text in
            ["Name: foo\nVersion: 1\n\nx", "Name: foo\r\nVersion: 1\r\n\r\nx", "Name: foo\rVersion: 1\r\rx"]
        {
            assert_eq!(
                parse(text),
                Headers {
                    name: foo.clone(),
                    version: Header::Value("1".to_owned()),
                    requirements: Some(String::new())
                },
                "{text:?}"
            );
        }
        assert_eq!(name_of("Version: 1\n\r\nName: foo\n"), Header::Absent);
        assert_eq!(name_of("Version: 1\r\nName: foo\n"), foo);
    }

    #[test]
    fn a_fold_of_the_last_header_is_noticed() {
        assert_eq!(name_of("Version: 1\nName: foo\n bar\n"), Header::Opaque);
        assert_eq!(name_of("Version: 1\nName: foo\r bar\n"), Header::Opaque);
        assert_eq!(name_of("Version: 1\nName: foo"), Header::Value("foo".to_owned()));
    }

    #[test]
    fn a_value_that_is_too_long_for_an_index_is_opaque() {
        assert_eq!(name_of(&format!("Name: {}\n", "x".repeat(FIELD_LENGTH + 1))), Header::Opaque);
        let longest = "x".repeat(FIELD_LENGTH);
        assert_eq!(name_of(&format!("Name: {longest}\n")), Header::Value(longest));
    }

    #[test]
    fn headers_in_the_description_do_not_count() {
        let text = "Metadata-Version: 2.1\nVersion: 1\n\nName: foo\n";
        assert_eq!(name_of(text), Header::Absent);
    }

    #[test]
    fn requirements_keep_their_order_and_are_opaque_together() {
        let requirements = |text: &str| parse(text).requirements;
        let text = "Name: a\nRequires-Python: >=3.9\nREQUIRES-DIST:b ; extra == 'x'\nProvides-Extra: x\nRequires-Dist: c \n\n\
                    Requires-Dist: d\n";
        assert_eq!(requirements(text).as_deref(), Some("p>=3.9\tdb ; extra == 'x'\tex\tdc "));
        assert_eq!(requirements("Requires-Dist: b\nRequires-Dist: c\n d\n"), None);
        assert_eq!(requirements("Requires-Dist: b\nName: a\tb\n").as_deref(), Some("db"));
        assert_eq!(requirements("Requires-Dist: b\tc\nRequires-Dist: d\n"), None);
        let many = "Requires-Dist: b\n".repeat(REQUIREMENTS_LENGTH / 3);
        assert_eq!(requirements(&many).map(|text| text.len()), Some(REQUIREMENTS_LENGTH / 3 * 3 - 1));
        assert_eq!(requirements(&(many + "Requires-Dist: bb\n")), None);
    }
}
