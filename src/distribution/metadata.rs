//! The `Name` and `Version` headers of METADATA and PKG-INFO, as Python's `email` parser sees them.
//!
//! Only the two headers that an index repeats are looked for. Where CPython's versions differ from
//! each other (folded values), the answer is [`Header::Opaque`] and the reader asks CPython.

use std::borrow::Cow;

/// What a metadata file says of one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// There is no such header.
    Absent,
    /// The value of its first occurrence: leading blanks dropped, trailing ones kept.
    Value(String),
    /// There is one, but not all versions agree on its value, or it can't stand in an index line.
    Opaque,
}

/// The two headers of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// `Name`
    pub name: Header,
    /// `Version`
    pub version: Header,
}

/// Reads the headers of `text`, which end with the first line that is none.
#[must_use]
pub fn parse(text: &str) -> Headers {
    let mut headers = Headers { name: Header::Absent, version: Header::Absent };
    let text = universal_newlines(text);
    let mut lines = text.split('\n').take_while(|line| is_header_line(line)).peekable();
    while let Some(line) = lines.next() {
        if is_continuation(line) || line.starts_with("From ") {
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let header = if key.eq_ignore_ascii_case("name") {
            &mut headers.name
        } else if key.eq_ignore_ascii_case("version") {
            &mut headers.version
        } else {
            continue;
        };
        if *header == Header::Absent {
            let value = value.trim_start_matches([' ', '\t']);
            let folded = lines.peek().is_some_and(|next| is_continuation(next));
            *header = if folded || value.contains(['\t', '\0']) {
                Header::Opaque
            } else {
                Header::Value(value.to_owned())
            };
        }
    }
    headers
}

/// What opening a file in Python's text mode does to the ends of its lines.
fn universal_newlines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

fn is_continuation(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// `email.feedparser.headerRE`: a continuation, an mbox line, or a colon after printable ASCII.
fn is_header_line(line: &str) -> bool {
    is_continuation(line)
        || line.starts_with("From ")
        || line.bytes().find(|b| !matches!(b, b'!'..=b'9' | b';'..=b'~')) == Some(b':')
}
