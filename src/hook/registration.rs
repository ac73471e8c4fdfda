//! What a registration says, and what changes it is for.
//!
//! `docs/reference/hooks.md` specifies the keys, their defaults and their bounds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glob::Pattern;
use serde::de::{Deserializer, Error as _};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::change::{Change, Event};

pub(super) const MEBIBYTE: u64 = 1 << 20;
/// Paths that begin with it are below the site directory that changed.
pub(super) const SITE: &str = "{site}";
/// The word for the cache directory of the hook.
pub(super) const CACHE: &str = "cache";

/// What one file registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The name of its file without the suffix.
    pub name: String,
    pub description: String,
    pub on: On,
    #[serde(flatten)]
    pub action: Action,
    /// Lower ones run first.
    pub order: i32,
    #[serde(serialize_with = "in_seconds", deserialize_with = "of_seconds")]
    pub timeout: Duration,
    pub when: When,
    pub sandbox: Sandbox,
    /// When its file or its program changed last (ctime), in seconds since 1970. Not part of the file.
    #[serde(skip)]
    pub changed: u64,
}

/// The changes that a hook is for: all three fields have to match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct On {
    /// Of normalized names. Empty: of any name.
    #[serde(serialize_with = "spelled", deserialize_with = "of_texts")]
    pub distributions: Vec<Pattern>,
    /// Of entry point groups that were gained, lost or changed. Empty: whatever the groups.
    #[serde(serialize_with = "spelled", deserialize_with = "of_texts")]
    pub groups: Vec<Pattern>,
    pub events: BTreeSet<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Keys")]
pub enum Action {
    /// A program and its arguments. A relative path is one below the prefix of an environment.
    Command(Vec<String>),
    /// A function that the interpreter of the site directory calls.
    Python { module: String, function: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The transaction waits for it.
    Transaction,
    Later,
}

/// What a hook may reach beyond what every hook may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Absolute, or below the prefix of an environment.
    pub read: Vec<PathBuf>,
    pub write: Vec<Write>,
    pub network: bool,
    /// In bytes.
    #[serde(serialize_with = "in_mebibytes", deserialize_with = "of_mebibytes")]
    pub memory: u64,
    pub processes: u32,
}

/// A directory that a hook may write to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Write {
    /// Absolute, or below the prefix of an environment.
    Directory(PathBuf),
    /// Below the site directory that changed; empty for that directory itself.
    Site(PathBuf),
    /// The hook's own, which is made for it.
    Cache,
}

impl Registration {
    /// Whether the hook is for this change. A change with unknown groups matches every pattern of groups.
    pub fn matches(&self, change: &Change) -> bool {
        let any = |patterns: &[Pattern], text: &str| patterns.iter().any(|pattern| pattern.matches(text));
        let mut groups_of_change = change.gained.iter().chain(&change.lost).chain(&change.changed);
        let On { distributions, groups, events } = &self.on;
        events.contains(&change.event)
            && (distributions.is_empty() || any(distributions, &change.distribution))
            && (groups.is_empty() || change.opaque || groups_of_change.any(|group| any(groups, group)))
    }

    /// Whether it runs once for each site directory: because the interpreter of that directory runs it, or because it
    /// writes there.
    pub fn is_of_one_site(&self) -> bool {
        let is_in_site = |write: &Write| matches!(write, Write::Site(_));
        matches!(self.action, Action::Python { .. }) || self.sandbox.write.iter().any(is_in_site)
    }

    /// The key by which hooks are sorted: lower orders run first, equal ones by name.
    pub fn rank(&self) -> (i32, &str) {
        (self.order, &self.name)
    }

    /// Whether it may make and remove names in the site directory itself.
    pub fn writes_to_site(&self) -> bool {
        let is_site = |write: &Write| matches!(write, Write::Site(below) if below.as_os_str().is_empty());
        self.sandbox.write.iter().any(is_site)
    }

    /// Whether it has a relative path, which only a hook of an environment may have.
    pub fn needs_environment(&self) -> bool {
        let program = match &self.action {
            Action::Command(command) => command.first().map(PathBuf::from),
            Action::Python { .. } => None,
        };
        let written = self.sandbox.write.iter().filter_map(|write| match write {
            Write::Directory(path) => Some(path),
            Write::Site(_) | Write::Cache => None,
        });
        program.iter().chain(&self.sandbox.read).chain(written).any(|path| path.is_relative())
    }
}

impl Default for On {
    /// Every change.
    fn default() -> Self {
        let events = [Event::Added, Event::Updated, Event::Removed].into();
        Self { distributions: Vec::new(), groups: Vec::new(), events }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { read: Vec::new(), write: Vec::new(), network: false, memory: 512 * MEBIBYTE, processes: 64 }
    }
}

// Serialized, a registration has the keys and the units of its file. The process of an environment's owner sends it
// in this form, and `hooks list --json` prints it.

/// The keys of the action: a registration has one of them.
#[derive(Deserialize)]
struct Keys {
    command: Option<Vec<String>>,
    python: Option<String>,
}

impl TryFrom<Keys> for Action {
    type Error = &'static str;

    fn try_from(keys: Keys) -> std::result::Result<Self, Self::Error> {
        match (keys.command, keys.python.as_deref().and_then(|python| python.split_once(':'))) {
            (Some(command), None) => Ok(Self::Command(command)),
            (None, Some((module, function))) => {
                Ok(Self::Python { module: module.to_owned(), function: function.to_owned() })
            }
            _ => Err("neither a command nor a function"),
        }
    }
}

impl TryFrom<String> for Write {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        Self::parse(&text)
    }
}

fn of_texts<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<Pattern>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Pattern::new(text).map_err(D::Error::custom)).collect()
}

fn of_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

fn of_mebibytes<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    Ok(u64::deserialize(deserializer)?.saturating_mul(MEBIBYTE))
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Command(command) => map.serialize_entry("command", command)?,
            Self::Python { module, function } => {
                map.serialize_entry("python", &format!("{module}:{function}"))?;
            }
        }
        map.end()
    }
}

impl Serialize for Write {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Directory(path) => path.serialize(serializer),
            Self::Site(below) => Path::new(SITE).join(below).serialize(serializer),
            Self::Cache => CACHE.serialize(serializer),
        }
    }
}

fn spelled<S: Serializer>(patterns: &[Pattern], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(patterns.iter().map(Pattern::as_str))
}

fn in_seconds<S: Serializer>(time: &Duration, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    time.as_secs().serialize(serializer)
}

fn in_mebibytes<S: Serializer>(memory: &u64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    (memory / MEBIBYTE).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(event: Event, distribution: &str, groups: [&[&str]; 3], opaque: bool) -> Change {
        let [gained, lost, changed] = groups.map(|groups| groups.iter().map(|it| (*it).to_owned()).collect());
        Change {
            event,
            distribution: distribution.to_owned(),
            old_version: None,
            version: None,
            site: "/site".into(),
            gained,
            lost,
            changed,
            opaque,
        }
    }

    #[test]
    fn a_hook_is_for_changes_of_which_name_event_and_group_match() {
        let (added, removed) = (Event::Added, Event::Removed);
        let none: [&[&str]; 3] = [&[], &[], &[]];
        for (on, change, expected) in [
            ("", change(added, "a", none, false), true),
            ("distributions = ['a*', 'b']", change(added, "ab", none, false), true),
            ("distributions = ['a*', 'b']", change(added, "b", none, false), true),
            ("distributions = ['a*', 'b']", change(added, "ba", none, false), false),
            ("events = ['added', 'updated']", change(added, "a", none, false), true),
            ("events = ['added', 'updated']", change(removed, "a", none, false), false),
            ("groups = ['g*']", change(added, "a", none, false), false),
            ("groups = ['g*']", change(added, "a", [&["h", "gh"], &[], &[]], false), true),
            ("groups = ['g*']", change(removed, "a", [&[], &["gh"], &[]], false), true),
            ("groups = ['g*']", change(added, "a", [&[], &[], &["gh"]], false), true),
            ("groups = ['g*']", change(added, "a", [&["h"], &["h"], &["h"]], false), false),
            ("groups = ['g*']", change(added, "a", none, true), true),
            ("groups = ['g*']\ndistributions = ['b']", change(added, "a", none, true), false),
        ] {
            let text = format!("description = 'x'\ncommand = ['/x']\n[on]\n{on}\n");
            let registration = Registration::parse("name", &text).expect("valid");
            assert_eq!(registration.matches(&change), expected, "{on}: {change:?}");
        }
    }
}
