//! The journal of hooks: the changes that are pending for each of them.
//!
//! It is beside the index and has the same owner. Only a confined process of that owner writes it. A change is written
//! to it before the index is replaced, and removed only after the hook has succeeded. So a process that is killed at
//! any point loses nothing:
//!
//! * before the journal is written: the old index is still there, and the next refresh finds the same changes;
//! * between the journal and the index: the same, and each change is merged with the one that is recorded;
//! * after that: the next refresh gives the hook what the journal holds.
//!
//! Each change is therefore delivered at least once, in the order of transactions. Changes of one distribution that
//! are delivered together are merged into one.
//!
//! It is bounded: instead of more than [`MAX_CHANGES`] changes of a hook, it records that everything may have
//! changed. A damaged journal counts as one that records this for every hook.
//!
//! A hook that fails is tried again by the next refresh. After [`PATIENCE`] failures in a row it waits, so that it does
//! not make each transaction longer: for an hour, and twice as long after each further failure, up to a day. The wait
//! ends early if its registration or its program changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Registration;
use crate::change::{Change, Event};
use crate::error::{Error, Result};
use crate::privilege::program::MAX_OUTPUT;
use crate::store::index_dir::{IndexDir, JOURNAL};
use crate::store::target::Target;
use crate::sys::fs::Unreadable;
use crate::sys::root::System;

/// The most changes of one hook. With more, everything may have changed.
pub const MAX_CHANGES: usize = 2_000;
/// Bytes of the changes of all hooks, and of what is kept of their output.
const MAX_SIZE: u64 = 16 << 20;
/// Bytes of one change, by [`cost`]. One with more has unknown groups.
const MAX_CHANGE: usize = 64 << 10;
/// Bytes of all changes that are delivered at once, by [`cost`].
const MAX_DELIVERED: usize = 16 << 20;
const VERSION: u32 = 1;
/// Failures in a row after which a hook waits.
const PATIENCE: u32 = 3;
/// The first and the longest wait, in seconds.
const FIRST_WAIT: u64 = 3600;
const LONGEST_WAIT: u64 = 24 * FIRST_WAIT;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    hooks: BTreeMap<String, Pending>,
}

/// What the journal has about one hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Counts the transactions that have added something, so that a run removes only what it was given.
    pub serial: u64,
    pub changes: Vec<Change>,
    /// There were too many changes: all distributions that are there now count as added.
    pub everything: bool,
    /// How it ended last.
    pub last: Option<Run>,
}

/// Which hooks are to run, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that are due, with what is pending. A hook that has failed several times is due after it has waited.
    Due,
    /// All for which something is pending, with that.
    Pending,
    /// All, with everything that is there as added.
    Everything,
}

/// What a hook is given now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub hook: String,
    pub serial: u64,
    pub changes: Vec<Change>,
    /// All distributions that are there count as added: `changes` has each of them.
    pub everything: bool,
    /// Whether another process finds the changes in the journal.
    pub is_recorded: bool,
    /// How often it has failed since its last success.
    pub failures: u32,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Seconds since 1970.
    pub time: u64,
    pub succeeded: bool,
    /// How often it has failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// What happened, in a line.
    pub what: String,
    pub output: String,
    pub is_cut: bool,
}

impl Run {
    /// The time before which a refresh does not run the hook again, in seconds since 1970. `None` if it does not wait.
    pub fn waits_until(&self) -> Option<u64> {
        let further = self.failures.checked_sub(PATIENCE)?;
        Some(self.time.saturating_add((FIRST_WAIT << further.min(5)).min(LONGEST_WAIT)))
    }
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.everything
    }

    /// Whether the hook, which failed, has to wait.
    fn waits(&self, hook: &Registration, now: u64) -> bool {
        let Some(last) = &self.last else { return false };
        // A time in the future is that of another clock.
        let is_waiting = last.waits_until().is_some_and(|until| (last.time..until).contains(&now));
        is_waiting && hook.changed < last.time
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self { version: VERSION, hooks: BTreeMap::new() }
    }
}

impl Journal {
    /// Reads the journal in the directory of an index. A damaged one is replaced: the new one records for each of
    /// `hooks`, the registered ones, that everything may have changed.
    pub fn read(directory: &IndexDir, hooks: &[Registration]) -> Result<Self> {
        let Some(bytes) = directory.read_journal(MAX_SIZE)? else { return Ok(Self::default()) };
        if let Some(journal) = Self::parse(&bytes) {
            return Ok(journal);
        }
        let journal = Self::damaged(hooks);
        journal.write(directory)?;
        Ok(journal)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|journal: &Self| journal.version == VERSION)
    }

    /// The journal in place of a damaged one: everything may have changed for each of `hooks`.
    fn damaged(hooks: &[Registration]) -> Self {
        let pending = Pending { serial: 1, everything: true, ..Pending::default() };
        let hooks = hooks.iter().map(|hook| (hook.name.clone(), pending.clone()));
        Self { version: VERSION, hooks: hooks.collect() }
    }

    /// Writes it beside the index and waits until it is on the disk. After a power cut it is the old one or the new
    /// one.
    pub fn write(&self, directory: &IndexDir) -> Result<()> {
        self.write_soon(directory)?;
        directory.sync_journal()
    }

    /// Writes it beside the index without waiting for the disk. After a power cut it may be the old one, or damaged.
    /// That is good enough for recording what was delivered: it is then delivered again.
    pub fn write_soon(&self, directory: &IndexDir) -> Result<()> {
        directory.replace_journal(&self.bounded(MAX_SIZE))
    }

    /// Renders it in at most `most` bytes: if necessary without the changes, and then without what hooks printed.
    fn bounded(&self, most: u64) -> Vec<u8> {
        let bytes = render(self);
        if bytes.len() as u64 <= most {
            return bytes;
        }
        let mut journal = self.clone();
        journal.hooks.values_mut().filter(|pending| !pending.changes.is_empty()).for_each(Pending::overflow);
        let bytes = render(&journal);
        if bytes.len() as u64 <= most {
            return bytes;
        }
        for run in journal.hooks.values_mut().filter_map(|pending| pending.last.as_mut()) {
            (run.output, run.is_cut) = (String::new(), true);
        }
        render(&journal)
    }

    pub fn hooks(&self) -> &BTreeMap<String, Pending> {
        &self.hooks
    }

    /// Adds to each of `hooks` the changes that it is for, and removes hooks that are not registered any more. Returns
    /// whether anything was added.
    pub fn record(&mut self, changes: &[Change], hooks: &[Registration]) -> bool {
        let names: BTreeSet<&str> = hooks.iter().map(|hook| &*hook.name).collect();
        self.hooks.retain(|name, _| names.contains(&**name));
        let mut is_changed = false;
        for hook in hooks {
            let mut matching = changes.iter().filter(|change| hook.matches(change)).peekable();
            if matching.peek().is_some() {
                let pending = self.hooks.entry(hook.name.clone()).or_default();
                pending.serial += 1;
                matching.for_each(|change| pending.add(bounded(change.clone())));
                is_changed = true;
            }
        }
        is_changed
    }

    /// Makes everything pending for each of `hooks`.
    pub fn overflow(&mut self, hooks: &[Registration]) {
        for hook in hooks {
            self.hooks.entry(hook.name.clone()).or_default().overflow();
        }
    }

    /// Reads the journal of a site directory, for a process that may not write beside the index.
    pub fn find(target: &Target, system: &System) -> Result<Option<Self>> {
        let Some((base, below)) = target.location.directory(&target.site, system) else { return Ok(None) };
        let path = base.join(below).join(JOURNAL);
        let failed = |why: Unreadable| Error::io("can't read", &path, why);
        let entry = match target.location.entry(&path, system) {
            Err(lost) if lost.is_missing() => return Ok(None),
            found => found.map_err(|lost| Error::io("can't read", &path, lost))?,
        };
        match entry.open_file().and_then(|file| file.read(MAX_SIZE)) {
            Ok(bytes) => Ok(Self::parse(&bytes)),
            Err(Unreadable::Missing) => Ok(None),
            Err(why) => Err(failed(why)),
        }
    }

    /// What each of `hooks` is to be given, in their order. `all` makes a change of each distribution that is there
    /// now, as added.
    ///
    /// A hook whose changes would make the answer larger than root's process accepts stays pending.
    pub fn due(&self, hooks: &[Registration], wanted: Wanted, all: impl Fn() -> Vec<Change>) -> Vec<Due> {
        self.due_at(hooks, wanted, now(), all)
    }

    /// The same at a time in seconds since 1970.
    fn due_at(
        &self,
        hooks: &[Registration],
        wanted: Wanted,
        now: u64,
        all: impl Fn() -> Vec<Change>,
    ) -> Vec<Due> {
        let mut everything = None;
        let mut room = MAX_DELIVERED;
        let mut due = Vec::new();
        for hook in hooks {
            let Some(pending) = self.hooks.get(&hook.name).filter(|pending| !pending.is_empty()) else {
                continue;
            };
            if wanted == Wanted::Due && pending.waits(hook, now) {
                continue;
            }
            let changes: Vec<Change> = match pending.everything {
                true => {
                    let all = everything.get_or_insert_with(&all).iter();
                    all.filter(|change| hook.matches(change)).cloned().map(bounded).collect()
                }
                false => pending.changes.clone(),
            };
            let size: usize = changes.iter().map(cost).sum();
            if size > room {
                log::warn!(
                    "hook {}: its {} changes are too large to be delivered now; hint: epcache hooks run {}",
                    hook.name,
                    changes.len(),
                    hook.name
                );
                continue;
            }
            room -= size;
            let everything = pending.everything;
            let (hook, serial) = (hook.name.clone(), pending.serial);
            let failures = pending.last.as_ref().map_or(0, |last| last.failures);
            due.push(Due { hook, serial, changes, everything, is_recorded: true, failures });
        }
        due
    }

    /// Records how a hook ended that was given what was pending at `serial`.
    pub fn record_end(&mut self, name: &str, serial: u64, run: Run) {
        let pending = self.hooks.entry(name.to_owned()).or_default();
        if run.succeeded && pending.serial == serial {
            (pending.changes, pending.everything) = (Vec::new(), false);
        }
        pending.last = Some(run);
    }
}

impl Pending {
    fn add(&mut self, change: Change) {
        if self.everything {
            return;
        }
        let earlier = self.changes.iter().position(|other| other.distribution == change.distribution);
        let change = match earlier {
            Some(position) => merge(self.changes.remove(position), change),
            None => change,
        };
        self.changes.push(change);
        if self.changes.len() > MAX_CHANGES {
            self.overflow();
        }
    }

    fn overflow(&mut self) {
        (self.changes, self.everything) = (Vec::new(), true);
    }
}

/// Merges two changes of a distribution into one. The hook may have seen the first one.
fn merge(first: Change, then: Change) -> Change {
    let event = match (first.event, then.event) {
        (_, Event::Removed) => Event::Removed,
        (Event::Added, _) => Event::Added,
        _ => Event::Updated,
    };
    let old =
        |group: &String| [&first.gained, &first.lost, &first.changed].map(|groups| groups.contains(group));
    let mut merged = Change { event, old_version: first.old_version.clone(), ..then.clone() };
    (merged.gained, merged.lost, merged.changed) = Default::default();
    let groups: BTreeSet<&String> = [&first, &then]
        .iter()
        .flat_map(|change| change.gained.iter().chain(&change.lost).chain(&change.changed))
        .collect();
    for group in groups {
        let [was_gained, was_lost, _] = old(group);
        let is = |groups: &Vec<String>| groups.contains(group);
        let list = if is(&then.lost) || was_lost && !is(&then.gained) {
            &mut merged.lost
        } else if !was_lost && (is(&then.gained) || was_gained) {
            &mut merged.gained
        } else {
            &mut merged.changed
        };
        list.push(group.clone());
    }
    merged.opaque = first.opaque || then.opaque;
    merged
}

/// A change with unknown groups instead of very many: the author of a distribution chooses them.
fn bounded(change: Change) -> Change {
    if cost(&change) <= MAX_CHANGE {
        return change;
    }
    Change { gained: Vec::new(), lost: Vec::new(), changed: Vec::new(), opaque: true, ..change }
}

/// How many bytes a change takes in an answer, roughly.
fn cost(change: &Change) -> usize {
    let groups = change.gained.iter().chain(&change.lost).chain(&change.changed);
    300 + change.distribution.len() + groups.map(|group| group.len() + 40).sum::<usize>()
}

fn render(journal: &Journal) -> Vec<u8> {
    // It has texts and numbers alone, so this can't fail.
    serde_json::to_vec(journal).unwrap_or_default()
}

/// The present time in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The beginning of an escaped output, up to [`MAX_OUTPUT`] bytes, and whether that is not all of it.
pub fn kept(output: &str) -> (String, bool) {
    let end = (0..=output.len().min(MAX_OUTPUT)).rev().find(|end| output.is_char_boundary(*end)).unwrap_or(0);
    (output[..end].to_owned(), end < output.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(event: Event, name: &str, versions: [Option<&str>; 2]) -> Change {
        let [old_version, version] = versions.map(|version| version.map(str::to_owned));
        let (distribution, site) = (name.to_owned(), "/site".into());
        Change {
            event,
            distribution,
            old_version,
            version,
            site,
            gained: vec![],
            lost: vec![],
            changed: vec![],
            opaque: false,
        }
    }

    fn ended(time: u64, failures: u32) -> Run {
        let (what, output, is_cut) = (String::new(), String::new(), false);
        Run { time, succeeded: failures == 0, failures, what, output, is_cut }
    }

    fn hook(name: &str) -> Registration {
        Registration::parse(name, "description = 'd'\ncommand = ['/bin/true']\n").expect("right")
    }

    #[test]
    fn changes_of_one_distribution_are_merged() {
        use Event::{Added, Removed, Updated};
        let (one, two) = (Some("1"), Some("2"));
        for (first, then, expected) in [
            ((Added, [None, one]), (Updated, [one, two]), (Added, [None, two])),
            ((Added, [None, one]), (Removed, [one, None]), (Removed, [None, None])),
            ((Updated, [one, two]), (Updated, [two, one]), (Updated, [one, one])),
            ((Updated, [one, two]), (Removed, [two, None]), (Removed, [one, None])),
            ((Removed, [one, None]), (Added, [None, two]), (Updated, [one, two])),
            ((Added, [None, one]), (Added, [None, one]), (Added, [None, one])),
        ] {
            let [first, then, expected] =
                [first, then, expected].map(|(event, versions)| change(event, "a", versions));
            assert_eq!(merge(first, then), expected);
        }
    }

    #[test]
    fn the_groups_of_merged_changes_say_what_is_different_in_the_end() {
        let names = ["gained", "lost", "changed"];
        let with = |list: &str| {
            let mut change = change(Event::Updated, "a", [None, None]);
            match list {
                "gained" => change.gained.push("g".to_owned()),
                "lost" => change.lost.push("g".to_owned()),
                "changed" => change.changed.push("g".to_owned()),
                _ => {}
            }
            change
        };
        for (first, then, expected) in [
            ("gained", "lost", "lost"),
            ("gained", "changed", "gained"),
            ("gained", "", "gained"),
            ("", "gained", "gained"),
            ("lost", "gained", "changed"),
            ("lost", "", "lost"),
            ("", "lost", "lost"),
            ("changed", "lost", "lost"),
            ("changed", "changed", "changed"),
            ("changed", "", "changed"),
            ("gained", "gained", "gained"),
        ] {
            let merged = merge(with(first), with(then));
            let lists = [&merged.gained, &merged.lost, &merged.changed];
            let found: Vec<&str> = names
                .into_iter()
                .zip(lists)
                .filter(|(_, list)| !list.is_empty())
                .map(|(name, _)| name)
                .collect();
            assert_eq!(found, [expected], "{first} {then}");
        }
    }

    #[test]
    fn a_run_removes_only_what_it_was_given() {
        let hooks = [hook("h")];
        let mut journal = Journal::default();
        let run = |succeeded| Run { succeeded, ..ended(0, 0) };
        assert!(!journal.record(&[], &hooks) && journal.hooks().is_empty());
        assert!(journal.record(&[change(Event::Added, "a", [None, None])], &hooks));
        let given = journal.hooks()["h"].serial;
        assert!(journal.record(&[change(Event::Added, "b", [None, None])], &hooks));
        journal.record_end("h", given, run(true));
        let names = |journal: &Journal| -> Vec<String> {
            journal.hooks()["h"].changes.iter().map(|change| change.distribution.clone()).collect()
        };
        assert_eq!(names(&journal), ["a", "b"], "both again, in order");
        let given = journal.hooks()["h"].serial;
        journal.record_end("h", given, run(false));
        assert_eq!(names(&journal), ["a", "b"], "it failed");
        journal.record_end("h", given, run(true));
        assert!(journal.hooks()["h"].is_empty());
        journal.record(&[], &[]);
        assert!(journal.hooks().is_empty(), "not registered any more");
    }

    #[test]
    fn more_than_the_journal_holds_means_everything() {
        let hooks = [hook("h")];
        let mut journal = Journal::default();
        let changes: Vec<Change> =
            (0..=MAX_CHANGES).map(|number| change(Event::Added, &number.to_string(), [None, None])).collect();
        journal.record(&changes[1..], &hooks);
        assert_eq!(journal.hooks()["h"].changes.len(), MAX_CHANGES);
        journal.record(&changes[..1], &hooks);
        assert!(journal.hooks()["h"].everything && journal.hooks()["h"].changes.is_empty());
        journal.record(&changes, &hooks);
        assert!(journal.hooks()["h"].changes.is_empty(), "nothing grows any more");
    }

    #[test]
    fn a_journal_that_is_too_large_loses_no_change() {
        let hooks = [hook("a"), hook("b")];
        let mut journal = Journal::default();
        journal.record(&[change(Event::Added, "one", [None, None])], &hooks);
        let output = "x".repeat(1000);
        let run = Run { output, ..ended(0, 0) };
        journal.record_end("b", 1, run);
        let whole = render(&journal).len() as u64;
        let bounded = |most| Journal::parse(&journal.bounded(most)).expect("a journal").hooks;
        assert_eq!(bounded(whole), journal.hooks);
        let (shorter, shortest) = (bounded(whole - 1), bounded(900));
        assert!(shorter["a"].everything && shorter["a"].changes.is_empty() && !shorter["b"].everything);
        assert!(shorter["b"].last.as_ref().is_some_and(|run| run.output.len() == 1000));
        assert!(shortest["a"].everything && shortest["b"].last.as_ref().is_some_and(|run| run.is_cut));
    }

    #[test]
    fn an_output_that_escapes_make_too_long_counts_as_cut() {
        assert_eq!(kept("short"), ("short".to_owned(), false));
        let (all, is_cut) = kept(&"x".repeat(MAX_OUTPUT));
        assert_eq!((all.len(), is_cut), (MAX_OUTPUT, false));
        let (beginning, is_cut) = kept(&"\u{20ac}".repeat(MAX_OUTPUT));
        assert_eq!((beginning.len(), is_cut), (MAX_OUTPUT - MAX_OUTPUT % 3, true));
    }

    #[test]
    fn a_hook_that_keeps_failing_waits_longer_each_time() {
        const HOUR: u64 = 3600;
        let journal = |last| {
            let mut journal = Journal::default();
            journal.record(&[change(Event::Added, "a", [None, None])], &[hook("h")]);
            journal.record_end("h", 1, Run { succeeded: false, ..last });
            journal
        };
        let is_due = |last: Run, now, changed| {
            let hooks = [Registration { changed, ..hook("h") }];
            let wanted = |wanted| journal(last.clone()).due_at(&hooks, wanted, now, Vec::new).len() == 1;
            assert!(wanted(Wanted::Pending) && wanted(Wanted::Everything));
            wanted(Wanted::Due)
        };
        let time = 1_000_000;
        for (failures, hours) in
            [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (7, 16), (8, 24), (9, 24), (u32::MAX, 24)]
        {
            let until = time + hours * HOUR;
            assert!(is_due(ended(time, failures), until, 0), "{failures}");
            assert_eq!(is_due(ended(time, failures), until - 1, 0), hours == 0, "{failures}");
            assert!(is_due(ended(time, failures), time, time), "{failures}: it has changed since");
            assert!(is_due(ended(time, failures), time - 1, 0), "{failures}: the clock was set back");
        }
        assert!(!is_due(ended(u64::MAX - 1, 3), u64::MAX - 1, 0), "no overflow");
    }

    #[test]
    fn a_damaged_journal_means_everything() {
        let hooks = [hook("h")];
        let mut journal = Journal::default();
        journal.record(&[change(Event::Added, "a", [None, None])], &hooks);
        let bytes = render(&journal);
        assert_eq!(Journal::parse(&bytes), Some(journal));
        for length in 0..bytes.len() {
            assert_eq!(Journal::parse(&bytes[..length]), None);
        }
        assert!(Journal::damaged(&hooks).hooks()["h"].everything);
    }
}
