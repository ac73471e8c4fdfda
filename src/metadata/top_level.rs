//! The importable names of a distribution, as `importlib.metadata.packages_distributions()` finds them.
//!
//! CPython asks `top_level.txt` first. Where that has no names it goes by the list of installed files
//! (see [`super::file_list`]).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::entry_points::is_space;

/// The importable names of one distribution, spelled as in the index: names separated by a space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopLevel<'a> {
    /// Where the names come from.
    pub kind: Kind,
    /// For CPython 3.12 and later, or for all where they are declared.
    pub names: Cow<'a, str>,
    /// For CPython 3.11, where they are inferred.
    pub python_names: Cow<'a, str>,
    /// What would be among `names` if there were anything of its name in the site directory.
    pub missing: Cow<'a, str>,
}

/// Where the names come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// From `top_level.txt`.
    Declared,
    /// From the list of files.
    Inferred,
    /// There are none.
    None,
    /// A reader asks the disk.
    #[default]
    Opaque,
}

impl Kind {
    /// Each with its word in the index.
    pub(crate) const WORDS: [(Self, &'static str); 4] = [
        (Self::Declared, "declared"),
        (Self::Inferred, "inferred"),
        (Self::None, "none"),
        (Self::Opaque, "opaque"),
    ];

    /// Its word in the index.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(kind, _)| *kind == self).map_or("opaque", |(_, word)| word)
    }
}

impl TopLevel<'_> {
    /// Nothing that is known without the disk.
    pub const OPAQUE: Self = Self::empty(Kind::Opaque);
    /// No names.
    pub const NONE: Self = Self::empty(Kind::None);

    const fn empty(kind: Kind) -> Self {
        Self { kind, names: Cow::Borrowed(""), python_names: Cow::Borrowed(""), missing: Cow::Borrowed("") }
    }

    /// Whether the site directory's listing allows the same answer as when this was found out:
    /// everything that gave a name is still in it, and nothing that was missing is.
    pub fn agrees_with(&self, is_listed: impl Fn(&[u8]) -> bool) -> bool {
        let listed = |name: &str| is_listed(&unescape(name.strip_suffix('/').unwrap_or(name)));
        matches!(self.kind, Kind::Declared | Kind::Opaque)
            || words(&self.names).all(listed) && !words(&self.missing).any(listed)
    }

    /// The directories in which the distribution says that it has files, spelled as in the index, with no
    /// slash: files come and go there without the site directory's listing showing it. `None`: anywhere.
    pub fn places(&self) -> Option<impl Iterator<Item = &str>> {
        let place = |name| match self.kind {
            Kind::Declared => Some(name),
            _ => str::strip_suffix(name, '/'),
        };
        (self.kind != Kind::Opaque).then(|| words(&self.names).filter_map(place))
    }
}

/// The most that the index repeats of the names of one distribution, in bytes.
pub(super) const LONGEST_NAMES: usize = 64 << 10;

/// The names in a `top_level.txt`, if there are any: `str.split()`.
#[must_use]
pub fn declared(text: &str) -> Option<TopLevel<'static>> {
    let names = spelled(text.split(is_space).filter(|name| !name.is_empty()));
    if names.len() > LONGEST_NAMES {
        return Some(TopLevel::OPAQUE);
    }
    (!names.is_empty()).then(|| TopLevel { kind: Kind::Declared, names: names.into(), ..TopLevel::NONE })
}

/// Names as the index spells them.
pub(super) fn spelled<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut text = String::new();
    for name in names {
        spell(&mut text, name);
    }
    text
}

/// The same, with a slash behind those of directories.
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

/// The names in a field of the index, as they are spelled there.
fn words(field: &str) -> impl Iterator<Item = &str> {
    field.split(' ').filter(|word| !word.is_empty())
}

/// Undoes [`spell`]. What is not rightly spelled is no name of any file.
fn unescape(word: &str) -> Cow<'_, [u8]> {
    crate::encoding::unescape(word).unwrap_or(Cow::Borrowed(b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_names_than_belong_into_an_index_are_left_to_the_reader() {
        let text = "name\n".repeat(20_000);
        assert_eq!(declared(&text).map(|found| found.kind), Some(Kind::Opaque));
        assert_eq!(declared(&text[..20_000]).map(|found| found.kind), Some(Kind::Declared));
    }
}
