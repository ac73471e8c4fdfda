//! The changes between any two indexes.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use arbtest::arbtest;
use epcache::change::{Change, Event, between, write_lines};
use epcache::index::Index;
use epcache::metadata::name::normalize;

use crate::support::any_index::any_index;

fn changes(old: Option<&Index<'_>>, new: &Index<'_>) -> Vec<Change> {
    between(Path::new("/site"), old, new)
}

/// Each change by its name, as events and groups.
type Summary = BTreeMap<String, (Event, Vec<String>, Vec<String>, Vec<String>, bool)>;

fn summary(changes: Vec<Change>) -> Summary {
    let one = |it: Change| (it.distribution, (it.event, it.gained, it.lost, it.changed, it.opaque));
    changes.into_iter().map(one).collect()
}

#[test]
fn changes_are_those_of_the_way_back_turned_round() {
    let mut updated = 0;
    arbtest(|u| {
        let (mut old, mut new) = (any_index(u)?, any_index(u)?);
        for row in old.distributions.iter_mut().chain(&mut new.distributions) {
            let row = Rc::make_mut(row);
            row.key = row.key.as_deref().map(|key| normalize(key).into());
        }
        if u.arbitrary()? {
            // Some distributions stay, and some of those get other entry points.
            new.distributions.clone_from(&old.distributions);
            new.distributions.retain(|_| u.ratio(3, 4).unwrap_or(true));
            for row in new.distributions.iter_mut().map(Rc::make_mut) {
                if let Some(entries) = row.entry_points.as_mut().filter(|_| u.arbitrary().unwrap_or(false)) {
                    entries.pop();
                }
            }
        }
        if u.arbitrary()? {
            old.site.inode = new.site.inode;
        }
        for index in [&old, &new] {
            assert_eq!(changes(Some(index), index), []);
            assert!(changes(None, index).iter().all(|it| it.event == Event::Added && it.lost.is_empty()));
        }
        let there = changes(Some(&old), &new);
        assert!(there.is_sorted_by(|one, other| one.distribution < other.distribution), "{there:?}");
        let mut lines = Vec::new();
        write_lines(&there, &mut lines).expect("room");
        let lines = String::from_utf8(lines).expect("UTF-8");
        let read: Vec<Change> =
            lines.lines().map(|line| serde_json::from_str(line).expect("a change")).collect();
        assert_eq!(read, there);

        updated += there.iter().filter(|it| it.event == Event::Updated).count();
        let turned = |(name, (event, gained, lost, changed, opaque))| {
            let event = match event {
                Event::Added => Event::Removed,
                Event::Updated => Event::Updated,
                Event::Removed => Event::Added,
            };
            (name, (event, lost, gained, changed, opaque))
        };
        let back: Summary = summary(changes(Some(&new), &old)).into_iter().map(turned).collect();
        assert_eq!(summary(there), back);
        Ok(())
    })
    .size_min(512)
    .budget_ms(2_000);
    assert!(updated > 10, "{updated}");
}

#[test]
fn a_pattern_with_many_stars_takes_no_time_that_a_package_can_make_long() {
    let text = "description = 'x'\ncommand = ['/x']\non.groups = ['*a*a*a*a*a*a*a*b']\n";
    let registration = epcache::hook::Registration::parse("name", text).expect("valid");
    let change = Change {
        event: Event::Added,
        distribution: "a".to_owned(),
        old_version: None,
        version: None,
        site: "/site".into(),
        gained: vec!["a".repeat(1 << 20)],
        lost: Vec::new(),
        changed: Vec::new(),
        opaque: false,
    };
    let start = Instant::now();
    assert!(!registration.matches(&change));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
