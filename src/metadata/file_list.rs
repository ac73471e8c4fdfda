//! The importable names that follow from a list of installed files.
//!
//! CPython uses these lists in two ways. 3.11 takes every `.py` file of the list; 3.12 and later take every
//! file that exists and that the interpreter can import. The latter depends on the suffixes that an
//! interpreter knows, so the index records what each can derive its own answer from (see
//! `docs/reference/index-format.md`).
//!
//! Nothing here touches the disk: the caller's [`Presence`] finds out what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::record::{RECORD, record_fields};
use super::top_level::{Kind, TopLevel, spelled, spelled_with_slashes};
use super::white_space::lines;
use crate::limits::NAMES_LENGTH;

/// Finds out what exists in a site directory.
pub trait Presence {
    /// The entry of this name in the site directory itself.
    fn entry(&self, name: &str) -> Entry;

    /// Whether a path below the site directory leads to something; `None` where that can't be decided.
    fn exists(&self, path: &str) -> io::Result<Option<bool>>;

    /// Whether there may be a symbolic link on a path below the site directory.
    fn has_links(&self, path: &str) -> io::Result<bool>;
}

/// An entry of the site directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    Absent,
    Plain,
    /// Perhaps a link.
    Unknown,
}

/// The lists of files, in the order in which CPython tries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileList {
    /// Written by every installer of wheels: lines of comma-separated values.
    Record,
    /// Written by old versions of pip: relative to the `.egg-info`.
    InstalledFiles,
    /// Written by setuptools: the files of the source distribution.
    Sources,
}

impl FileList {
    pub const ALL: [Self; 3] = [Self::Record, Self::InstalledFiles, Self::Sources];

    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Record => RECORD,
            Self::InstalledFiles => "installed-files.txt",
            Self::Sources => "SOURCES.txt",
        }
    }
}

/// The names that follow from `text`, the list of files of the distribution `file_name`.
///
/// A list that versions of CPython read differently, or that makes one raise, gives [`Kind::Opaque`].
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
            FileList::Record => record_fields(line).map(|(path, _)| path),
            // A quote has a meaning for the csv module.
            FileList::InstalledFiles | FileList::Sources => (!line.contains('"')).then_some(line),
        };
        let usable = match path {
            _ if found.exceeds_limits() => false,
            Some(line) if list == FileList::InstalledFiles => {
                found.add_installed_file(line, file_name, presence)?
            }
            Some(path) => found.add(path, presence)?,
            None => false,
        };
        if !usable {
            return Ok(TopLevel::OPAQUE);
        }
    }
    Ok(found.into_top_level())
}

/// The longest path that is looked up. The kernel's limit of 4096 includes the path of the site directory
/// where CPython looks it up, and that differs between copies of the tree.
const MAX_PATH: usize = 1024;
/// The kernel's limit for the name of a file.
const MAX_NAME: usize = 255;
/// The most files that are looked up in one list. Mostly it is one for each importable name.
const MAX_LOOKUPS: u32 = 10_000;

/// What was found in a list of files so far. Texts borrow from the list.
#[derive(Default)]
struct Found<'t> {
    /// Top-level directories, and whether a file of the list exists in them.
    directories: BTreeMap<&'t str, bool>,
    files: BTreeSet<&'t str>,
    /// Top-level names that do not exist, and whether they are directories in the list.
    missing: BTreeSet<(&'t str, bool)>,
    /// What CPython 3.11 finds.
    python_names: BTreeSet<&'t str>,
    with_python_names: bool,
    /// The top-level directory of the last path, if another file in it adds nothing.
    last: Option<&'t str>,
    lookups: u32,
}

impl<'t> Found<'t> {
    /// Adds a line of `installed-files.txt`, which is relative to the `.egg-info`. Returns false like
    /// [`Self::add`].
    fn add_installed_file(
        &mut self,
        line: &'t str,
        file_name: &str,
        presence: &impl Presence,
    ) -> io::Result<bool> {
        self.lookups += 1;
        // CPython resolves all links before it uses the name.
        if presence.has_links(&format!("{file_name}/{line}"))? || line.is_empty() || line.starts_with('/') {
            return Ok(false);
        }
        match line.strip_prefix("../") {
            Some(path) => Ok(!is_upward(path) && self.add(path, presence)?),
            // A file in the `.egg-info` gives no name, because of the dot.
            None => Ok(!is_upward(line)),
        }
    }

    /// Adds a path of the list. Returns false if versions of CPython differ on it.
    fn add(&mut self, path: &'t str, presence: &impl Presence) -> io::Result<bool> {
        let known = |last: &str| path.strip_prefix(last).is_some_and(|rest| rest.starts_with('/'));
        if path.len() <= MAX_NAME && self.last.is_some_and(known) {
            return Ok(true);
        }
        let mut parts = parts(path);
        let too_long = path.len() > MAX_PATH || parts.clone().any(|part| part.len() > MAX_NAME);
        let Some(top) = parts.next() else { return Ok(false) };
        if path.starts_with('/') || too_long {
            return Ok(false);
        }
        let file = parts.next_back();
        self.add_python_name(top, file);
        if file.is_some() { self.add_directory(top, path, presence) } else { self.add_file(top, presence) }
    }

    fn add_directory(&mut self, top: &'t str, path: &str, presence: &impl Presence) -> io::Result<bool> {
        if top.contains('.') || self.missing.contains(&(top, true)) {
            return Ok(true);
        }
        if !self.directories.get(top).is_some_and(|seen| *seen) {
            if presence.entry(top) == Entry::Absent {
                self.missing.insert((top, true));
                return Ok(true);
            }
            self.lookups += 1;
            let path = parts(path).collect::<Vec<_>>().join("/");
            let Some(exists) = presence.exists(&path)? else { return Ok(false) };
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

    fn add_file(&mut self, name: &'t str, presence: &impl Presence) -> io::Result<bool> {
        if !may_be_a_module(name) {
            return Ok(true);
        }
        match presence.entry(name) {
            Entry::Absent => drop(self.missing.insert((name, false))),
            Entry::Plain => drop(self.files.insert(name)),
            // The target of a link can appear later, without a change of the site directory's stamp.
            Entry::Unknown => match presence.exists(name)? {
                Some(true) => drop(self.files.insert(name)),
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    /// For `pathlib`, a leading dot does not begin a suffix.
    fn add_python_name(&mut self, top: &'t str, file: Option<&'t str>) {
        let stem = file.unwrap_or(top).strip_suffix(".py").filter(|stem| !stem.is_empty());
        if let Some(stem) = stem.filter(|_| self.with_python_names) {
            self.python_names.insert(if file.is_some() { top } else { stem });
        }
    }

    /// Whether the list would take too much time or memory.
    fn exceeds_limits(&self) -> bool {
        let names = self.directories.len() + self.files.len() + self.missing.len() + self.python_names.len();
        // Each takes at least a character and a space of the field.
        self.lookups > MAX_LOOKUPS || names > NAMES_LENGTH / 2
    }

    fn into_top_level(self) -> TopLevel<'static> {
        // Files can appear in a directory without a change of the site directory's stamp.
        if self.directories.values().any(|seen| !seen) {
            return TopLevel::OPAQUE;
        }
        let directories = self.directories.keys().map(|name| (*name, true));
        let names: BTreeSet<_> = directories.chain(self.files.iter().map(|name| (*name, false))).collect();
        let kind = if names.is_empty() && self.python_names.is_empty() { Kind::None } else { Kind::Inferred };
        let names = spelled_with_slashes(&names);
        let python_names = spelled(self.python_names.iter().copied());
        let missing = spelled_with_slashes(&self.missing);
        if names.len() + python_names.len() + missing.len() > NAMES_LENGTH {
            return TopLevel::OPAQUE;
        }
        TopLevel { kind, names: names.into(), python_names: python_names.into(), missing: missing.into() }
    }
}

/// The parts of a path as `pathlib` has them.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> + Clone {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// Whether a path leads up somewhere, even if it leads down again.
fn is_upward(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// Whether some interpreter can import a file of this name as a module without a dot in its name.
fn may_be_a_module(name: &str) -> bool {
    match name.find('.').map(|dot| &name[dot..]) {
        None => true,
        Some(suffix) => matches!(suffix, ".py" | ".pyc") || suffix.ends_with(".so"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A site directory with nothing but an empty directory `pkg`.
    #[derive(Default)]
    struct Empty {
        lookups: Cell<u32>,
    }

    impl Presence for Empty {
        fn entry(&self, name: &str) -> Entry {
            if name == "pkg" { Entry::Plain } else { Entry::Absent }
        }

        fn exists(&self, _: &str) -> io::Result<Option<bool>> {
            self.lookups.set(self.lookups.get() + 1);
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
        (found.unwrap_or_default(), site.lookups.get())
    }

    #[test]
    fn a_list_that_would_take_too_long_is_left_to_the_reader() {
        for (list, start) in
            [(FileList::Record, "pkg/"), (FileList::Sources, "pkg/"), (FileList::InstalledFiles, "../pkg/")]
        {
            let (found, lookups) = kind(list, |number| format!("{start}{number}\n"));
            assert_eq!(found, Kind::Opaque, "{list:?}");
            assert!(lookups <= 2 * (MAX_LOOKUPS + 1), "{list:?}: {lookups}");
        }
    }

    #[test]
    fn too_many_names_for_an_index_are_opaque() {
        let line = |number| format!("m{number}.py\n");
        assert_eq!(kind(FileList::Sources, line), (Kind::Opaque, 0));
        assert_eq!(kind(FileList::Sources, |number| line(number % 2000)), (Kind::Inferred, 0));
    }
}
