//! What counts as a distribution, under which name, in which order, and which of two duplicates counts.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use epcache::index::{Index, parse, render};
use epcache::metadata::Distribution;
use epcache::metadata::name::key_of_any;
use epcache::refresh::{Depth, Request, reconcile};
use epcache::site::SiteDir;
use epcache::site::retries::Retries;
use serde::Deserialize;

use super::oracle::{Answer, Triple, VERSIONS, ask};
use super::random::Random;
use super::sites::{self, Item};

#[derive(Debug, Deserialize)]
struct Site {
    distributions: Vec<Described>,
    entry_points: Answer<Vec<Triple>>,
    /// The answers of the Python reader from the index.
    reader: Answer<Vec<Triple>>,
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Described {
    file_name: Vec<u8>,
    key: Answer<String>,
    identity: Answer<(Option<String>, Option<String>)>,
    entry_points: Answer<Vec<Triple>>,
}

#[test]
fn named_site_directories() {
    let below = tempfile::tempdir().expect("a temporary directory");
    let sites: Vec<_> = sites::named()
        .into_iter()
        .map(|(name, items)| {
            made(below.path(), name, items.into_iter().map(|(name, item)| (name.to_vec(), item)).collect())
        })
        .collect();
    compare(&sites);
}

#[test]
fn random_site_directories() {
    let mut random = Random::new();
    let below = tempfile::tempdir().expect("a temporary directory");
    let sites: Vec<_> =
        (0..300).map(|number| made(below.path(), &number.to_string(), sites::random(&mut random))).collect();
    compare(&sites);
}

/// A site directory, and whether every user sees the same in it.
struct Made {
    path: PathBuf,
    same_for_all: bool,
}

fn made(below: &Path, name: &str, items: Vec<(Vec<u8>, Item)>) -> Made {
    let same_for_all = !items.iter().any(|(_, item)| item.depends_on_the_reader());
    Made { path: sites::make(below, name, items), same_for_all }
}

/// Compares the result of a refresh, the index, and the output of `epcache list`.
fn compare(sites: &[Made]) {
    for site in sites {
        epcache(&["refresh", "--json"], &site.path);
    }
    let paths: Vec<_> = sites.iter().map(|site| site.path.as_os_str().as_bytes().to_vec()).collect();
    let answers = ask::<Site>(&VERSIONS, "sites", &paths);
    for (number, made) in sites.iter().enumerate() {
        let site = SiteDir::open(made.path.clone()).expect("a directory");
        let request = Request { depth: Depth::Everything, finished: true, ..Request::thorough() };
        let outcome = reconcile(&site, None, &request, &Retries::default()).expect("a listing");
        let bytes = render(&outcome.index);
        assert_eq!(parse(&bytes).as_ref(), Ok(&outcome.index), "{:?}", made.path);
        let written = std::fs::read(made.path.join(".epcache/index")).expect("an index");
        let written = parse(&written).expect("an intact index");
        // Two distributions that are one to Python are both listed if their names are unknown.
        let all_named = !outcome.index.distributions.iter().any(|row| is_nameless(row));
        let listed = (made.same_for_all && all_named).then(|| listed(&made.path));
        for (version, answers) in &answers {
            let Answer::Gives(theirs) = &answers[number] else { panic!("{version}: {:?}", answers[number]) };
            compare_distributions(version, &outcome.index, theirs);
            if made.same_for_all {
                compare_distributions(version, &written, theirs);
            }
            compare_reader(version, theirs, made.same_for_all);
            if let Some(listed) = &listed {
                compare_list(version, listed, theirs);
            }
        }
    }
}

/// Whether neither the directory nor the recorded metadata gives the name.
fn is_nameless(distribution: &Distribution<'_>) -> bool {
    distribution.identity.is_none() && key_of_any(&distribution.file_name, None).is_none()
}

fn compare_distributions(version: &str, index: &Index<'_>, theirs: &Site) {
    let mut ours: Vec<_> = index.distributions.iter().collect();
    ours.sort_by_key(|distribution| distribution.position);
    // Of several distributions with one key only the first counts, so the order of the others is irrelevant.
    let keys: HashMap<_, _> = theirs.distributions.iter().map(|dist| (&dist.file_name, &dist.key)).collect();
    let firsts = |names: Vec<Vec<u8>>| {
        let mut seen = HashSet::new();
        let first = |name: &Vec<u8>| match keys.get(name) {
            Some(Answer::Gives(key)) => seen.insert(key),
            _ => true,
        };
        let names: Vec<_> = names.into_iter().filter(first).collect();
        names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        firsts(ours.iter().map(|dist| dist.file_name.to_vec()).collect()),
        firsts(theirs.distributions.iter().map(|dist| dist.file_name.clone()).collect()),
        "{version}: distributions and their order"
    );
    assert_eq!(ours.len(), theirs.distributions.len(), "{version}");
    for theirs in &theirs.distributions {
        let ours = index.find(&theirs.file_name);
        let ours = ours.unwrap_or_else(|| panic!("{version}: not found: {theirs:?}"));
        compare_distribution(version, ours, theirs);
    }
}

fn compare_distribution(version: &str, ours: &Distribution<'_>, theirs: &Described) {
    let about = format!("{version}: {ours:?} against {theirs:?}");
    match (&ours.key, &theirs.key) {
        (Some(ours), Answer::Gives(theirs)) => assert_eq!(ours, theirs, "{about}"),
        (None, Answer::Raises { .. }) => assert_eq!(ours.entry_points, None, "{about}"),
        // Opaque: it depends on the reader's Unicode tables or permissions, or does not fit into the index.
        (None, Answer::Gives(theirs)) => assert!(
            std::str::from_utf8(&ours.file_name).is_err()
                || !theirs.is_ascii()
                || theirs.contains(|c: char| c.is_ascii_control())
                || ours.identity.is_none(),
            "{about}"
        ),
        (Some(_), Answer::Raises { .. }) => panic!("{about}"),
    }
    if let Some(identity) = &ours.identity {
        let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
        let ours = (owned(&identity.name), owned(&identity.version));
        assert_eq!(Answer::Gives(ours), theirs.identity, "{about}");
    }
    if let Some(entries) = &ours.entry_points {
        let ours: Vec<_> =
            entries.iter().map(|e| (e.group.to_string(), e.name.to_string(), e.value.to_string())).collect();
        assert_eq!(Answer::Gives(ours), theirs.entry_points, "{about}");
    }
}

fn compare_reader(version: &str, theirs: &Site, same_for_all: bool) {
    // A reader that can see more than the writer could treats that as a change.
    assert!(
        theirs.warnings.is_empty() || !same_for_all,
        "{version}: the index was not used: {:?}",
        theirs.warnings
    );
    match (&theirs.entry_points, &theirs.reader) {
        (Answer::Gives(theirs), Answer::Gives(reader)) => {
            // Up to 3.11, CPython sorts by group.
            let sorted = |entries: &[Triple]| {
                let mut entries = entries.to_vec();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                entries
            };
            assert_eq!(sorted(reader), sorted(theirs), "{version}");
        }
        // Where several things are wrong, the first one met may differ.
        (Answer::Raises { .. }, Answer::Raises { .. }) => {}
        (theirs, reader) => panic!("{version}: {reader:?} against {theirs:?}"),
    }
}

/// Where a single invalid file makes CPython raise for the whole call, `list` continues without it.
fn compare_list(version: &str, listed: &[Triple], theirs: &Site) {
    let site = &theirs.distributions;
    if let Answer::Gives(theirs) = &theirs.entry_points {
        let mut theirs = theirs.clone();
        theirs.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        // `list` omits what does not fit into an index line, and warns.
        theirs.retain(|(_, name, _)| !name.contains('\t'));
        assert_eq!(listed, theirs, "{version}: {site:?}");
    }
}

fn listed(site: &Path) -> Vec<Triple> {
    #[derive(Deserialize)]
    struct Row {
        group: String,
        name: String,
        value: String,
    }
    let rows: Vec<Row> =
        serde_json::from_slice(&epcache(&["list", "--json", "--site"], site)).expect("a JSON array");
    rows.into_iter().map(|row| (row.group, row.name, row.value)).collect()
}

fn epcache(arguments: &[&str], site: &Path) -> Vec<u8> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_epcache")).args(arguments).arg(site).output().expect("epcache runs");
    assert!(output.status.success(), "{site:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
