//! The result of comparing an index with the disk.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::freshness::Stamp;
use crate::freshness::clock::{Clock, now};
use crate::index::Index;

/// The new index, and how it differs from the old one.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// What the directory holds now.
    pub index: Index<'a>,
    pub changes: Changes,
    /// The hash of all names in the directory, if the old index or the new one is sealed.
    pub names: u64,
    /// Diagnostics of distributions that were read: the path in the site directory, and what is wrong.
    pub diagnostics: Vec<String>,
    /// How long the clock of the file system was waited for.
    pub waited: Duration,
    /// When everything will be old enough to be settled, in ns; `None` where it is, or where time does not help.
    pub settles_at: Option<i64>,
}

impl Outcome<'_> {
    /// The outcome of an empty directory with this stamp.
    pub(super) fn new(site: Stamp) -> Self {
        Self {
            index: Index { site, settled: false, distributions: Vec::new(), without: Vec::new(), seal: None },
            names: 0,
            changes: Changes::default(),
            diagnostics: Vec::new(),
            waited: Duration::ZERO,
            settles_at: None,
        }
    }

    /// How long it takes until everything is old enough to be settled.
    pub fn settles_in(&self) -> Option<Duration> {
        let left = self.settles_at?.saturating_sub(now());
        Some(Duration::from_nanos(u64::try_from(left).unwrap_or(0)))
    }

    /// [`Clock::wait_past`], adding the time that it took.
    pub(super) fn wait_past(&mut self, clock: Clock, ctime: i64) -> bool {
        let start = Instant::now();
        let passed = clock.wait_past(ctime);
        self.waited += start.elapsed();
        passed
    }
}

/// File names of distributions, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the directory, and no distribution of that name was in the index.
    pub added: Vec<Vec<u8>>,
    /// With other stamps or content than in the index, or under another version.
    pub updated: Vec<Vec<u8>>,
    /// In the index, and no longer in the directory.
    pub removed: Vec<Vec<u8>>,
    pub read: Vec<Vec<u8>>,
}

impl Changes {
    /// The changes without distributions of which only the stamps are different.
    pub fn apart_from_stamps(&self, old: &Index<'_>, new: &Index<'_>) -> Self {
        let same = |name: &Vec<u8>| match (old.find(name), new.find(name)) {
            (Some(one), Some(other)) => one.same_content_as(other),
            _ => false,
        };
        let mut changes = self.clone();
        changes.updated.retain(|name| !same(name));
        changes
    }

    /// Whether the old index describes what is on disk.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.updated.is_empty() && self.removed.is_empty()
    }

    /// Counts an added distribution as an update if one of the same name was removed: it has another version.
    pub(super) fn recognise_upgrades(&mut self, old: &Index<'_>, new: &Index<'_>) {
        if self.added.is_empty() || self.removed.is_empty() {
            return;
        }
        let key = |index: &Index<'_>, file_name: &Vec<u8>| -> Option<String> {
            index.find(file_name)?.key.as_deref().map(str::to_owned)
        };
        let gone: BTreeSet<_> = self.removed.iter().filter_map(|name| key(old, name)).collect();
        let (updated, added): (Vec<_>, Vec<_>) = std::mem::take(&mut self.added)
            .into_iter()
            .partition(|name| key(new, name).is_some_and(|key| gone.contains(&key)));
        let came: BTreeSet<_> = updated.iter().filter_map(|name| key(new, name)).collect();
        self.removed.retain(|name| key(old, name).is_none_or(|key| !came.contains(&key)));
        self.added = added;
        self.updated.extend(updated);
        self.updated.sort();
    }
}
