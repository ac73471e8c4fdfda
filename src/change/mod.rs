//! What changed in a site directory from one index to the next, as a hook is given it.
//!
//! A change is about a normalized name. Where several distributions have one name, it is about the first of them,
//! which is the one that programs find.
//!
//! * A distribution is updated if it has another version, other entry points or other importable names, or if its
//!   metadata file is another file: a package that is rebuilt as the same version replaces it, and may have
//!   changed any other file.
//! * Other stamps alone are no change. In a copy of a site directory all of them are new, so files are compared only
//!   if the site directory is the same one.
//! * The entry points of an opaque distribution are in no index. A change from one or to one is marked, and its
//!   groups are unknown.
//!
//! `docs/reference/hooks.md` specifies the lines of JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::index::Index;
use crate::metadata::Distribution;
use crate::metadata::name::{key_of_any, standard};

/// The version of the lines that [`write_lines`] writes.
pub const SCHEMA: u32 = 1;

/// What happened to a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    Added,
    Updated,
    Removed,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Removed => "removed",
        })
    }
}

/// A distribution that was added, updated or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub event: Event,
    /// The normalized name (PEP 503): in lower case, with `-` for each run of `-`, `_` and `.`. Of a distribution that
    /// has none, the file name.
    pub distribution: String,
    /// `None` where there was none, and where the index does not repeat the version.
    pub old_version: Option<String>,
    pub version: Option<String>,
    pub site: PathBuf,
    /// Entry point groups, sorted: those that are new, those that are gone, and those with different entries.
    pub gained: Vec<String>,
    pub lost: Vec<String>,
    pub changed: Vec<String>,
    /// Whether the groups are unknown.
    pub opaque: bool,
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'c> {
    schema: u32,
    #[serde(flatten)]
    change: &'c Change,
}

/// Writes one line of JSON for each change. Fails for a site directory whose path is not UTF-8.
pub fn write_lines(changes: &[Change], mut to: impl Write) -> io::Result<()> {
    for change in changes {
        serde_json::to_writer(&mut to, &Line { schema: SCHEMA, change })?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// The changes of `site` from `old` to `new`, sorted by name. Without an old index, everything has been added.
pub fn between(site: &Path, old: Option<&Index<'_>>, new: &Index<'_>) -> Vec<Change> {
    let is_same_directory = old.is_some_and(|old| old.site.inode == new.site.inode);
    let (before, after) = (old.map(by_name).unwrap_or_default(), by_name(new));
    let mut changes = Vec::new();
    for (name, row) in &after {
        let old = before.get(name).copied();
        let is_changed = old.is_none_or(|old| {
            !old.same_content_as(row) || is_same_directory && old.stamps.are_of_another_file(&row.stamps)
        });
        if is_changed {
            changes.push(change(site, old, Some(row)));
        }
    }
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    changes.extend(gone.map(|(_, row)| change(site, Some(row), None)));
    changes.sort_by(|one, other| one.distribution.cmp(&other.distribution));
    changes
}

/// The distribution of each name that programs find, by the name in `importlib.metadata`'s form.
fn by_name<'i, 'a>(index: &'i Index<'a>) -> HashMap<Cow<'i, str>, &'i Distribution<'a>> {
    let mut found: HashMap<_, &Distribution<'_>> = HashMap::with_capacity(index.distributions.len());
    for row in &index.distributions {
        let known = found.entry(name_of(row).unwrap_or_else(|| file_name_of(row))).or_insert(row);
        if row.position < known.position {
            *known = row;
        }
    }
    found
}

fn name_of<'i>(row: &'i Distribution<'_>) -> Option<Cow<'i, str>> {
    if let Some(key) = row.key.as_deref() {
        return Some(key.into());
    }
    let name = row.identity.as_ref().and_then(|identity| identity.name.as_deref());
    key_of_any(&row.file_name, name).map(Cow::Owned)
}

fn file_name_of<'i>(row: &'i Distribution<'_>) -> Cow<'i, str> {
    String::from_utf8_lossy(&row.file_name)
}

/// The change of one distribution. `old` or `new` is given, or both.
fn change(site: &Path, old: Option<&Distribution<'_>>, new: Option<&Distribution<'_>>) -> Change {
    let name = |row| name_of(row).map_or_else(|| file_name_of(row).into_owned(), |name| standard(&name));
    let (before, after) = (groups(old), groups(new));
    let opaque = before.is_none() || after.is_none();
    let [before, after] = [before, after].map(|groups| groups.filter(|_| !opaque).unwrap_or_default());
    let select = |from: &Groups<'_>, is_wanted: &dyn Fn(&str) -> bool| {
        from.keys().filter(|group| is_wanted(group)).map(|group| (*group).to_owned()).collect()
    };
    Change {
        event: match (old, new) {
            (None, _) => Event::Added,
            (_, None) => Event::Removed,
            _ => Event::Updated,
        },
        distribution: new.or(old).map(name).unwrap_or_default(),
        old_version: version(old),
        version: version(new),
        site: site.to_owned(),
        gained: select(&after, &|group| !before.contains_key(group)),
        lost: select(&before, &|group| !after.contains_key(group)),
        changed: select(&after, &|group| before.get(group).is_some_and(|entries| *entries != after[group])),
        opaque,
    }
}

fn version(row: Option<&Distribution<'_>>) -> Option<String> {
    row?.identity.as_ref()?.version.as_deref().map(str::to_owned)
}

/// Names and values of each group.
type Groups<'e> = BTreeMap<&'e str, Vec<(&'e str, &'e str)>>;

/// The groups of a distribution, none where there is no distribution. `None` where they are unknown.
fn groups<'e>(row: Option<&'e Distribution<'_>>) -> Option<Groups<'e>> {
    let mut groups = Groups::new();
    let Some(row) = row else { return Some(groups) };
    for entry in row.entry_points.as_deref()? {
        groups.entry(&*entry.group).or_default().push((&*entry.name, &*entry.value));
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::freshness::Stamp;
    use crate::metadata::top_level::Kind;
    use crate::metadata::{Contents, EntryPoint, Identity, Stamps, TopLevel};

    fn stamp(inode: u64) -> Stamp {
        Stamp { mtime: 1, ctime: 1, inode, size: 1 }
    }

    /// A distribution in the directory `NAME-VERSION.dist-info`, with its metadata file and its entry points as
    /// `GROUP NAME`; without them it is opaque.
    fn row(
        name: &str,
        version: &str,
        metadata: u64,
        entries: Option<&[(&str, &str)]>,
    ) -> Distribution<'static> {
        let entry = |(group, name): &(&str, &str)| EntryPoint {
            group: Cow::Owned((*group).to_owned()),
            name: Cow::Owned((*name).to_owned()),
            value: "m:f".into(),
        };
        Distribution {
            file_name: Cow::Owned(format!("{name}-{version}.dist-info").into_bytes()),
            position: 0,
            key: Some(Cow::Owned(name.to_owned())),
            identity: Some(Identity {
                name: Some(Cow::Owned(name.to_owned())),
                version: Some(Cow::Owned(version.to_owned())),
            }),
            requirements: Some("".into()),
            entry_points: entries.map(|entries| entries.iter().map(entry).collect()),
            configparser_differs: false,
            top_level: TopLevel {
                kind: Kind::None,
                names: "".into(),
                python_names: "".into(),
                missing: "".into(),
            },
            stamps: Stamps {
                itself: stamp(metadata + 1),
                metadata: Some(stamp(metadata)),
                entry_points: None,
                top_level: None,
                files: None,
            },
            contents: Contents::default(),
            settled: true,
        }
    }

    /// An index of a site directory with this inode. The first rows come first in its listing.
    fn index(inode: u64, rows: &[Distribution<'static>]) -> Index<'static> {
        let at = |(position, row): (usize, &Distribution<'static>)| {
            let position = u32::try_from(position).expect("few");
            Rc::new(Distribution { position, ..row.clone() })
        };
        let mut distributions: Vec<_> = rows.iter().enumerate().map(at).collect();
        distributions.sort_by(|one, other| one.file_name.cmp(&other.file_name));
        Index { site: stamp(inode), settled: true, distributions, without: Vec::new(), seal: None }
    }

    /// The changes as text, with versions and groups.
    fn reported(old: Option<&Index<'_>>, new: &Index<'_>) -> Vec<String> {
        let version = |version: Option<String>| version.unwrap_or_else(|| "-".to_owned());
        let reported = |change: Change| {
            let groups = [("+", change.gained), ("-", change.lost), ("*", change.changed)];
            let groups: String = groups
                .into_iter()
                .flat_map(|(sign, all)| all.into_iter().map(move |it| format!(" {sign}{it}")))
                .collect();
            let (old, new) = (version(change.old_version), version(change.version));
            let opaque = if change.opaque { " opaque" } else { "" };
            format!("{} {} {old} {new}{groups}{opaque}", change.event, change.distribution)
        };
        between(Path::new("/site"), old, new).into_iter().map(reported).collect()
    }

    #[test]
    fn a_change_has_its_versions_and_its_groups() {
        let (g, h, gh) = ([("g", "a")], [("h", "a")], [("g", "b"), ("h", "a")]);
        let one = |row: Distribution<'static>| index(9, &[row]);
        for (old, new, expected) in [
            (row("a", "1", 5, Some(&g)), row("a", "2", 6, Some(&g)), &["updated a 1 2"][..]),
            (row("a", "1", 5, Some(&g)), row("a", "1", 5, Some(&h)), &["updated a 1 1 +h -g"]),
            (row("a", "1", 5, Some(&g)), row("a", "1", 5, Some(&gh)), &["updated a 1 1 +h *g"]),
            (row("a", "1", 5, Some(&g)), row("a", "1", 5, Some(&g)), &[]),
            (row("a", "1", 5, Some(&g)), row("b", "1", 5, Some(&h)), &["removed a 1 - -g", "added b - 1 +h"]),
            (row("a", "1", 5, Some(&g)), row("a", "2", 5, None), &["updated a 1 2 opaque"]),
            (row("a", "1", 5, None), row("a", "2", 5, Some(&g)), &["updated a 1 2 opaque"]),
            (row("a", "1", 5, None), row("a", "1", 5, None), &[]),
            // A package that was rebuilt as the same version.
            (row("a", "1", 5, Some(&g)), row("a", "1", 6, Some(&g)), &["updated a 1 1"]),
            // Racy stamps say nothing.
            (row("a", "1", 0, Some(&g)), row("a", "1", 6, Some(&g)), &[]),
            (row("a", "1", 6, Some(&g)), row("a", "1", 0, Some(&g)), &[]),
        ] {
            assert_eq!(reported(Some(&one(old)), &one(new)), expected);
        }
    }

    #[test]
    fn without_an_old_index_everything_has_been_added() {
        let new = index(9, &[row("b", "1", 5, Some(&[("g", "x")])), row("a", "2", 6, None)]);
        assert_eq!(reported(None, &new), ["added a - 2 opaque", "added b - 1 +g"]);
        assert_eq!(reported(Some(&new), &index(9, &[])), ["removed a 2 - opaque", "removed b 1 - -g"]);
    }

    #[test]
    fn in_a_copy_of_the_directory_other_stamps_are_no_change() {
        let (old, new) = (row("a", "1", 5, Some(&[])), row("a", "1", 6, Some(&[])));
        assert_eq!(
            reported(Some(&index(9, std::slice::from_ref(&old))), &index(8, std::slice::from_ref(&new))),
            [""; 0]
        );
        let mut touched = old.clone();
        touched.stamps.itself = stamp(77);
        touched.stamps.metadata = Some(Stamp { ctime: 2, mtime: 2, ..stamp(5) });
        assert_eq!(reported(Some(&index(9, &[old])), &index(9, &[touched])), [""; 0]);
    }

    #[test]
    fn of_several_distributions_with_one_name_the_first_counts() {
        let (one, two) = (row("a", "1", 5, Some(&[])), row("a", "2", 6, Some(&[])));
        let both = index(9, &[one.clone(), two.clone()]);
        assert_eq!(reported(Some(&index(9, std::slice::from_ref(&one))), &both), [""; 0]);
        assert_eq!(reported(Some(&both), &index(9, std::slice::from_ref(&two))), ["updated a 1 2"]);
        assert_eq!(reported(Some(&both), &index(9, &[two, one])), ["updated a 1 2"]);
    }

    #[test]
    fn a_line_has_every_field_and_the_version_of_the_schema() {
        let changes =
            between(Path::new("/s\u{e9}"), None, &index(9, &[row("a", "1", 5, Some(&[("g", "x")]))]));
        let mut lines = Vec::new();
        write_lines(&changes, &mut lines).expect("room");
        let expected = "{\"schema\":1,\"event\":\"added\",\"distribution\":\"a\",\"old_version\":null,\
                        \"version\":\"1\",\"site\":\"/s\u{e9}\",\"gained\":[\"g\"],\"lost\":[],\"changed\":[],\
                        \"opaque\":false}\n";
        assert_eq!(String::from_utf8(lines).expect("UTF-8"), expected);
        let read: Change = serde_json::from_str(expected).expect("a change");
        assert_eq!([read], changes[..]);
    }
}
