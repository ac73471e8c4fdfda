//! After any history of changes, a refresh gives the same result as a full read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::rc::Rc;

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use epcache::index::{Index, parse, render};
use epcache::metadata::Distribution;
use epcache::metadata::top_level::Kind;
use epcache::refresh::{Changes, Depth, Outcome, Request, reconcile};
use epcache::site::SiteDir;
use epcache::site::retries::Retries;

use super::site::Site;

const NAMES: [&str; 5] =
    ["foo-1.dist-info", "foo-2.dist-info", "bar-1.egg-info", "~oo-1.dist-info", "other.py"];

#[test]
fn a_refresh_after_any_history_equals_a_full_read() {
    let mut refreshes = [0_u32; 3];
    arbtest(|u| history(u, &mut refreshes)).budget_ms(20_000);
    assert!(refreshes.iter().all(|count| *count > 10), "too few to show anything: {refreshes:?}");
}

fn history(u: &mut Unstructured<'_>, refreshes: &mut [u32; 3]) -> Result<()> {
    let mut site = Site::new();
    let mut bytes: Option<Vec<u8>> = None;
    let mut known = BTreeMap::new();
    let mut steps = Vec::new();
    for _ in 0..u.int_in_range(1..=8)? {
        let mut edited = false;
        for _ in 0..u.int_in_range(0..=4)? {
            let (step, in_place) = change(u, &mut site)?;
            steps.push(step);
            edited |= in_place;
        }
        let depth = *u.choose(&[Depth::Directories, Depth::Files, Depth::Everything])?;
        // A package manager's trigger does not look for edits in place.
        let depth = if edited && depth == Depth::Directories { Depth::Files } else { depth };
        refreshes[depth as usize] += 1;
        steps.push(format!("refresh to the depth of {depth:?}"));
        let directory = SiteDir::open(site.path().to_owned()).expect("a directory");
        let request = |depth| Request { depth, finished: true, ..Request::thorough() };
        let old = bytes.as_ref().map(|bytes| parse(bytes).expect("our own index"));
        let outcome =
            reconcile(&directory, old.as_ref(), &request(depth), &Retries::default()).expect("a listing");
        let full_read =
            reconcile(&directory, None, &request(Depth::Everything), &Retries::default()).expect("a listing");
        assert_eq!(outcome.index, full_read.index, "{steps:#?}");
        assert!(outcome.index.is_settled(), "{steps:#?}");
        compare_with_the_files(&site, &outcome.index, &steps);

        let state = |name: &&'static str| (*name, (site.stats(name), site.modules(name)));
        let now: BTreeMap<_, _> = NAMES[..4].iter().map(state).collect();
        let changed: BTreeSet<Vec<u8>> = NAMES[..4]
            .iter()
            .filter(|name| now[**name].0[0].is_some() && known.get(**name) != Some(&now[**name]))
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let read: BTreeSet<_> = outcome.changes.read.iter().cloned().collect();
        if depth == Depth::Everything {
            assert_eq!(read.len(), outcome.index.distributions.len(), "{steps:#?}");
        } else {
            assert!(read.is_superset(&changed), "{steps:#?}");
            let disturbed = !changed.is_empty() || !outcome.changes.removed.is_empty();
            for other in read.difference(&changed) {
                // It may have lost a file to another distribution that was removed or changed.
                let row = old.iter().flat_map(|old| &old.distributions).find(|row| *row.file_name == **other);
                let inferred = row.is_some_and(|row| row.top_level.kind == Kind::Inferred);
                assert!(disturbed && inferred, "{other:?}: {steps:#?}");
            }
        }
        compare_changes(&outcome.changes, old.as_ref(), &outcome.index, &steps);
        known = now;
        bytes = Some(render(&outcome.index));
    }
    Ok(())
}

fn change(u: &mut Unstructured<'_>, site: &mut Site) -> Result<(String, bool)> {
    type Change = fn(&mut Site, &str);
    const CHANGES: [(&str, Change, bool); 11] = [
        ("install", Site::install, false),
        ("install", Site::install, false),
        ("replace a file of", Site::replace_a_file, false),
        ("replace a file of", Site::replace_a_file, false),
        ("replace the whole of", Site::replace_whole, false),
        ("edit in place", Site::edit_in_place, true),
        ("edit in place the list of", Site::edit_its_list, true),
        ("make a file of", Site::make_a_file, false),
        ("make a link of", Site::make_a_link, false),
        ("remove a file of", Site::remove_a_file, false),
        ("remove", Site::remove, false),
    ];
    if u.ratio(1, 10)? {
        site.set_back();
        return Ok(("set the mtime of the site directory back".to_owned(), false));
    }
    if u.ratio(1, 6)? {
        site.add_or_remove_a_module();
        return Ok(("make or remove a module".to_owned(), false));
    }
    let (verb, change, in_place) = u.choose(&CHANGES)?;
    let name = u.choose(&NAMES)?;
    change(site, name);
    Ok((format!("{verb} {name}"), *in_place))
}

/// Compares an index with the files by other code than the library's.
fn compare_with_the_files(site: &Site, index: &Index<'_>, steps: &[String]) {
    let listed: Vec<_> =
        index.distributions.iter().map(|row| String::from_utf8_lossy(&row.file_name)).collect();
    let mut there: Vec<_> = NAMES[..4].iter().filter(|name| site.stats(name)[0].is_some()).collect();
    there.sort();
    assert_eq!(listed, there.iter().map(|name| **name).collect::<Vec<_>>(), "{steps:#?}");
    for (row, name) in index.distributions.iter().zip(listed) {
        if row.top_level.kind != Kind::Opaque {
            let found = [&row.top_level.names, &row.top_level.missing, &row.top_level.python_names];
            assert_eq!(found.map(|names| names.to_string()), site.top_level(&name), "{steps:#?}");
        }
        let Some(entries) = &row.entry_points else { continue };
        let text: String =
            entries.iter().map(|entry| format!("[g]\n{} = {}\n", entry.name, entry.value)).collect();
        assert_eq!(text, site.entry_points(&name).unwrap_or_default(), "{steps:#?}");
    }
}

fn compare_changes(changes: &Changes, old: Option<&Index<'_>>, new: &Index<'_>, steps: &[String]) {
    let names = |index: Option<&Index<'_>>| -> BTreeSet<Vec<u8>> {
        index.iter().flat_map(|index| &index.distributions).map(|row| row.file_name.to_vec()).collect()
    };
    let (before, after) = (names(old), names(Some(new)));
    // A distribution with another version is updated, so neither added nor removed.
    for name in &changes.added {
        assert!(after.contains(name) && !before.contains(name), "{steps:#?}");
    }
    for name in &changes.removed {
        assert!(before.contains(name) && !after.contains(name), "{steps:#?}");
    }
    for name in after.difference(&before) {
        assert!(changes.added.contains(name) || changes.updated.contains(name), "{steps:#?}");
    }
    for row in &new.distributions {
        // A different position in the listing is not a change.
        let same =
            |known: &Distribution<'_>| Distribution { position: row.position, ..known.clone() } == **row;
        let unchanged = old.and_then(|old| old.find(&row.file_name)).is_some_and(same);
        assert_ne!(
            unchanged,
            changes.added.contains(&row.file_name.to_vec())
                || changes.updated.contains(&row.file_name.to_vec()),
            "{steps:#?}"
        );
    }
}

/// Where nothing else is uncertain, a trigger takes the names from the index and not from the directory.
#[test]
fn a_trigger_finds_what_has_changed_or_gone_in_a_directory_with_its_recorded_stamp() {
    fn run<'a>(site: &SiteDir, old: Option<&Index<'a>>) -> Outcome<'a> {
        let request = Request { depth: Depth::Directories, finished: true, ..Request::thorough() };
        reconcile(site, old, &request, &Retries::default()).expect("a listing")
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().canonicalize().expect("a path");
    let metadata = |name: &str| path.join(name).join("METADATA");
    for name in ["b-1.dist-info", "c-1.dist-info"] {
        fs::create_dir(path.join(name)).expect("a directory");
        fs::write(metadata(name), "Name: x\nVersion: 1\n").expect("room");
    }
    let site = SiteDir::open(path.clone()).expect("a directory");
    let index = run(&site, None).index;
    assert!(index.is_settled());
    for (row, gone) in [(0, "a-1.dist-info"), (2, "d-1.dist-info")] {
        let mut old = index.clone();
        let another = Distribution { file_name: gone.as_bytes().into(), ..(*index.distributions[1]).clone() };
        old.distributions.insert(row, Rc::new(another));
        let outcome = run(&site, Some(&old));
        assert_eq!(outcome.index, index, "{gone}");
        assert_eq!(outcome.changes.removed, [gone.as_bytes()]);
    }
    for changed in ["b-1.dist-info", "c-1.dist-info"] {
        fs::remove_file(metadata(changed)).expect("a file");
        fs::write(metadata(changed), "Name: x\nVersion: 2\n").expect("room");
        fs::write(path.join(changed).join("RECORD"), "missing.py,,\n").expect("room");
        let outcome = run(&site, Some(&index));
        assert_eq!(outcome.index.site, index.site, "the site directory itself has changed");
        assert!(outcome.changes.updated.contains(&changed.as_bytes().to_vec()), "{changed}");
        assert_eq!(outcome.index, run(&site, None).index, "{changed}");
    }
}
