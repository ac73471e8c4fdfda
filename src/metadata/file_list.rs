//! The importable names that a list of installed files gives.
//!
//! CPython goes by it in two ways: 3.11 takes every `.py` file of the list, 3.12 and later every file
//! that exists, of whatever kind some interpreter can import. The answer of the latter depends on the
//! suffixes that an interpreter knows, so what is recorded is what each of them can make its own
//! answer from (see `docs/reference/index-format.md`).
//!
//! All here is pure but for [`Presence`], which says what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::entry_points::ends_line;
use super::top_level::{Kind, LONGEST_NAMES, TopLevel, spelled, spelled_with_slashes};

/// What a site directory holds.
pub trait Presence {
    /// What is known of an entry of the site directory itself.
    fn entry(&self, name: &str) -> Entry;

    /// Whether a path below the site directory leads to something. `None`: it can't be decided.
    ///
    /// # Errors
    /// Only our own lack of memory or descriptors.
    fn exists(&self, path: &str) -> io::Result<Option<bool>>;

    /// Whether there may be a symbolic link on a path below the site directory.
    ///
    /// # Errors
    /// The same.
    fn has_links(&self, path: &str) -> io::Result<bool>;
}

/// What is known of an entry of the site directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// There is none of this name.
    Absent,
    /// It exists, and is no link.
    Plain,
    /// It may be a link.
    Unknown,
}

/// The lists of files, in the order in which CPython asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileList {
    /// Written by every installer of wheels: lines of comma-separated values.
    Record,
    /// Written by old versions of pip: relative to the `.egg-info`.
    InstalledFiles,
    /// Written by setuptools: the files of the source.
    Sources,
}

impl FileList {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Record, Self::InstalledFiles, Self::Sources];

    /// Its file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Record => "RECORD",
            Self::InstalledFiles => "installed-files.txt",
            Self::Sources => "SOURCES.txt",
        }
    }
}

/// The names that a list of files gives, that of the distribution `file_name`.
///
/// A list that not every version of CPython reads alike, or that makes one raise, gives
/// [`Kind::Opaque`].
///
/// # Errors
/// Those of [`Presence`].
pub fn infer(
    list: FileList,
    text: &str,
    file_name: &str,
    presence: &impl Presence,
) -> io::Result<TopLevel<'static>> {
    // Python's csv module refuses NUL in some versions.
    if text.contains('\0') {
        return Ok(TopLevel::OPAQUE);
    }
    let mut found = Found { with_python_names: list != FileList::InstalledFiles, ..Found::default() };
    for line in lines(text) {
        let path = match list {
            FileList::Record => path_in_record(line),
            // In quotes for the csv module.
            FileList::InstalledFiles | FileList::Sources => (!line.contains('"')).then_some(line),
        };
        let usable = match path {
            _ if found.is_too_much() => false,
            Some(line) if list == FileList::InstalledFiles => {
                found.looks += 1;
                let own = format!("{file_name}/{line}");
                // CPython resolves all links before it looks at the name.
                match line.strip_prefix("../") {
                    _ if presence.has_links(&own)? => false,
                    _ if line.is_empty() || line.starts_with('/') => false,
                    Some(path) => !is_upward(path) && found.take(path, presence)?,
                    // A file of the `.egg-info` gives no name, because of the dot.
                    None => !is_upward(line),
                }
            }
            Some(path) => found.take(path, presence)?,
            None => false,
        };
        if !usable {
            return Ok(TopLevel::OPAQUE);
        }
    }
    Ok(found.into_top_level())
}

/// The longest path that is certainly no longer than what a system call takes, wherever SITE is.
const LONGEST_PATH: usize = 1024;
/// The longest name of a file.
const LONGEST_NAME: usize = 255;
/// The most files that are looked for. Mostly it is one for each name.
const MOST_LOOKS: u32 = 10_000;
/// The csv module's limit for a field, in characters.
const LONGEST_FIELD: usize = 131_072;

/// The path in a plain line of comma-separated values: path, hash and size, of which CPython wants
/// the last to be a number.
fn path_in_record(line: &str) -> Option<&str> {
    if line.len() > LONGEST_FIELD {
        return None;
    }
    let (path, rest) = match line.strip_prefix('"') {
        None => line.split_once(',').map_or((line, None), |(path, rest)| (path, Some(rest))),
        Some(quoted) => {
            let (path, rest) = quoted.split_once('"')?;
            (path, if rest.is_empty() { None } else { Some(rest.strip_prefix(',')?) })
        }
    };
    let (hash, size) = rest.and_then(|rest| rest.split_once(',')).unwrap_or((rest.unwrap_or_default(), ""));
    let is_number = size.len() <= 18 && size.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !path.contains('"') && !hash.contains('"')).then_some(path)
}

/// What a list of files has given so far. Texts borrow from the list.
#[derive(Default)]
struct Found<'t> {
    /// Directories, and whether a file of the list has been seen in them.
    directories: BTreeMap<&'t str, bool>,
    files: BTreeSet<&'t str>,
    missing: BTreeSet<(&'t str, bool)>,
    python_names: BTreeSet<&'t str>,
    with_python_names: bool,
    /// The directory of the last path, if all is known of it.
    last: Option<&'t str>,
    /// How often it was asked whether a file exists.
    looks: u32,
}

impl<'t> Found<'t> {
    /// Takes a path of the list; says whether it is one that all versions understand.
    fn take(&mut self, path: &'t str, presence: &impl Presence) -> io::Result<bool> {
        let known = |last: &str| path.strip_prefix(last).is_some_and(|rest| rest.starts_with('/'));
        if path.len() <= LONGEST_NAME && self.last.is_some_and(known) {
            return Ok(true);
        }
        let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        let too_long = path.len() > LONGEST_PATH || parts.clone().any(|part| part.len() > LONGEST_NAME);
        let Some(top) = parts.next() else { return Ok(false) };
        if path.starts_with('/') || too_long {
            return Ok(false);
        }
        let file = parts.next_back();
        self.take_python_name(top, file);
        if file.is_some() { self.take_directory(top, path, presence) } else { self.take_file(top, presence) }
    }

    fn take_directory(&mut self, top: &'t str, path: &str, presence: &impl Presence) -> io::Result<bool> {
        if top.contains('.') || self.missing.contains(&(top, true)) {
            return Ok(true);
        }
        if !self.directories.get(top).is_some_and(|seen| *seen) {
            if presence.entry(top) == Entry::Absent {
                self.missing.insert((top, true));
                return Ok(true);
            }
            let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            self.looks += 1;
            let Some(exists) = presence.exists(&parts.join("/"))? else { return Ok(false) };
            self.directories.insert(top, exists);
            if !exists {
                return Ok(true);
            }
        }
        if !self.with_python_names || self.python_names.contains(top) {
            self.last = Some(top);
        }
        Ok(true)
    }

    fn take_file(&mut self, name: &'t str, presence: &impl Presence) -> io::Result<bool> {
        if !may_be_a_module(name) {
            return Ok(true);
        }
        match presence.entry(name) {
            Entry::Absent => drop(self.missing.insert((name, false))),
            Entry::Plain => drop(self.files.insert(name)),
            // A link may come to lead somewhere without the site directory moving.
            Entry::Unknown => match presence.exists(name)? {
                Some(true) => drop(self.files.insert(name)),
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    /// `pathlib`'s idea of a suffix: a leading dot does not begin one.
    fn take_python_name(&mut self, top: &'t str, file: Option<&'t str>) {
        let stem = file.unwrap_or(top).strip_suffix(".py").filter(|stem| !stem.is_empty());
        if let Some(stem) = stem.filter(|_| self.with_python_names) {
            self.python_names.insert(if file.is_some() { top } else { stem });
        }
    }

    /// Whether going on would take more time or memory than a list is worth.
    fn is_too_much(&self) -> bool {
        let names = self.directories.len() + self.files.len() + self.missing.len() + self.python_names.len();
        // Each takes a character and a space at least.
        self.looks > MOST_LOOKS || names > LONGEST_NAMES / 2
    }

    fn into_top_level(self) -> TopLevel<'static> {
        // Files may come to be in a directory without the site directory moving.
        if self.directories.values().any(|seen| !seen) {
            return TopLevel::OPAQUE;
        }
        let directories = self.directories.keys().map(|name| (*name, true));
        let names: BTreeSet<_> = directories.chain(self.files.iter().map(|name| (*name, false))).collect();
        let kind = if names.is_empty() && self.python_names.is_empty() { Kind::None } else { Kind::Inferred };
        let names = spelled_with_slashes(&names);
        let python_names = spelled(self.python_names.iter().copied());
        let missing = spelled_with_slashes(&self.missing);
        if names.len() + python_names.len() + missing.len() > LONGEST_NAMES {
            return TopLevel::OPAQUE;
        }
        TopLevel { kind, names: names.into(), python_names: python_names.into(), missing: missing.into() }
    }
}

/// Whether a path leads out of the directory that it is relative to, and perhaps into it again.
fn is_upward(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// Whether some interpreter can make a module name without a dot of a file name.
fn may_be_a_module(name: &str) -> bool {
    match name.find('.').map(|dot| &name[dot..]) {
        None => true,
        Some(suffix) => matches!(suffix, ".py" | ".pyc") || suffix.ends_with(".so"),
    }
}

/// `str.splitlines()`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let usual = !text.bytes().any(|byte| byte < b' ' && byte != b'\n' || byte >= 0x80);
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = if usual { rest.find('\n') } else { rest.find(ends_line) };
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A site directory with a directory `pkg` that is empty.
    #[derive(Default)]
    struct Empty {
        looks: Cell<u32>,
    }

    impl Presence for Empty {
        fn entry(&self, name: &str) -> Entry {
            if name == "pkg" { Entry::Plain } else { Entry::Absent }
        }

        fn exists(&self, _: &str) -> io::Result<Option<bool>> {
            self.looks.set(self.looks.get() + 1);
            Ok(Some(false))
        }

        fn has_links(&self, path: &str) -> io::Result<bool> {
            self.exists(path).map(|_| false)
        }
    }

    fn kind(list: FileList, line: impl Fn(u32) -> String) -> (Kind, u32) {
        let text: String = (0..40_000).map(line).collect();
        let site = Empty::default();
        let found = infer(list, &text, "foo-1.egg-info", &site).map(|found| found.kind);
        (found.unwrap_or_default(), site.looks.get())
    }

    #[test]
    fn a_list_that_would_take_long_is_left_to_the_reader() {
        for (list, start) in
            [(FileList::Record, "pkg/"), (FileList::Sources, "pkg/"), (FileList::InstalledFiles, "../pkg/")]
        {
            let (found, looks) = kind(list, |number| format!("{start}{number}\n"));
            assert_eq!(found, Kind::Opaque, "{list:?}");
            assert!(looks <= 2 * (MOST_LOOKS + 1), "{list:?}: {looks}");
        }
    }

    #[test]
    fn more_names_than_belong_into_an_index_are_left_to_the_reader() {
        let line = |number| format!("m{number}.py\n");
        assert_eq!(kind(FileList::Sources, line), (Kind::Opaque, 0));
        assert_eq!(kind(FileList::Sources, |number| line(number % 2000)), (Kind::Inferred, 0));
    }
}
