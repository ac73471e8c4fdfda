//! The importable names of a distribution, equal to `importlib.metadata.packages_distributions()`.
//!
//! CPython uses `top_level.txt` first. Where that has no names, it uses the list of installed files (see
//! [`super::file_list`]).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::white_space::is_space;
use crate::limits::NAMES_LENGTH;

/// The importable names of one distribution, as in the index: escaped, with a space between two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopLevel<'a> {
    pub kind: Kind,
    /// For CPython 3.12 and later; for all versions where they are declared.
    pub names: Cow<'a, str>,
    /// For CPython 3.11, where they are inferred.
    pub python_names: Cow<'a, str>,
    /// What would be among `names` if it existed in the site directory.
    pub missing: Cow<'a, str>,
}

/// Where the names come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    Declared,
    /// From the list of files.
    Inferred,
    None,
    /// Unknown: a reader finds out from the disk.
    #[default]
    Opaque,
}

impl Kind {
    /// With their words in the index.
    pub(crate) const WORDS: [(Self, &'static str); 4] = [
        (Self::Declared, "declared"),
        (Self::Inferred, "inferred"),
        (Self::None, "none"),
        (Self::Opaque, "opaque"),
    ];

    pub(crate) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(kind, _)| *kind == self).map_or("opaque", |(_, word)| word)
    }
}

impl TopLevel<'_> {
    pub const OPAQUE: Self = Self::empty(Kind::Opaque);
    pub const NONE: Self = Self::empty(Kind::None);

    const fn empty(kind: Kind) -> Self {
        Self { kind, names: Cow::Borrowed(""), python_names: Cow::Borrowed(""), missing: Cow::Borrowed("") }
    }

    /// Whether the listing of the site directory still gives these names: whatever gave a name is in it, and
    /// nothing that was missing is.
    pub fn agrees_with(&self, is_listed: impl Fn(&[u8]) -> bool) -> bool {
        let listed = |name: &str| is_listed(&unescape(name.strip_suffix('/').unwrap_or(name)));
        matches!(self.kind, Kind::Declared | Kind::Opaque)
            || words(&self.names).all(listed) && !words(&self.missing).any(listed)
    }

    /// The top-level directories in which the distribution has files, as in the index, without a slash. Files
    /// in there come and go without a change of the site directory's listing. `None`: unknown.
    pub(crate) fn places(&self) -> Option<impl Iterator<Item = &str>> {
        let place = |name| match self.kind {
            Kind::Declared => Some(name),
            _ => str::strip_suffix(name, '/'),
        };
        (self.kind != Kind::Opaque).then(|| words(&self.names).filter_map(place))
    }
}

/// The names in a `top_level.txt`, split like `str.split()`, if there are any.
pub fn declared(text: &str) -> Option<TopLevel<'static>> {
    let names = spelled(text.split(is_space).filter(|name| !name.is_empty()));
    if names.len() > NAMES_LENGTH {
        return Some(TopLevel::OPAQUE);
    }
    (!names.is_empty()).then(|| TopLevel { kind: Kind::Declared, names: names.into(), ..TopLevel::NONE })
}

/// Names escaped for the index.
pub(super) fn spelled<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut text = String::new();
    for name in names {
        spell(&mut text, name);
    }
    text
}

/// The same, with a slash behind the names of directories.
pub(super) fn spelled_with_slashes(names: &BTreeSet<(&str, bool)>) -> String {
    let mut text = String::new();
    for (name, is_directory) in names {
        spell(&mut text, name);
        if *is_directory {
            text.push('/');
        }
    }
    text
}

fn spell(text: &mut String, name: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    for c in name.chars() {
        if c <= ' ' || matches!(c, '\x7f' | '%') || c.is_whitespace() {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(c);
        }
    }
}

/// The escaped names in a field of the index.
fn words(field: &str) -> impl Iterator<Item = &str> {
    field.split(' ').filter(|word| !word.is_empty())
}

/// Undoes [`spell`]. A malformed word gives the name of no file.
fn unescape(word: &str) -> Cow<'_, [u8]> {
    crate::encoding::unescape(word).unwrap_or(Cow::Borrowed(b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_names_for_an_index_are_opaque() {
        let text = "name\n".repeat(20_000);
        assert_eq!(declared(&text).map(|found| found.kind), Some(Kind::Opaque));
        assert_eq!(declared(&text[..20_000]).map(|found| found.kind), Some(Kind::Declared));
    }
}
