//! What does not fit into an index is opaque, and a refresh leaves out the same as a full read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use epcache::index::{Index, parse, render};
use epcache::metadata::top_level::Kind;
use epcache::metadata::{Distribution, TopLevel};
use epcache::refresh::{Budget, Depth, Request, reconcile};
use epcache::site::SiteDir;
use epcache::site::retries::Retries;

/// What the library counts for an entry point and for a group, apart from their texts.
const ENTRY_POINT: usize = 128;
const GROUP: usize = 36;

const NAMES: [&str; 5] = ["a-1.dist-info", "b-1.dist-info", "c-1.egg-info", "d-1.dist-info", ".dist-info"];
const PACKAGE: &str = "a_package_with_a_name_that_takes_a_part_of_the_budget";

#[test]
fn a_refresh_leaves_out_the_same_as_a_full_read() {
    let mut refreshes = [0_u32; 3];
    arbtest(|u| history(u, &mut refreshes)).budget_ms(15_000);
    assert!(refreshes.iter().all(|count| *count > 10), "none left out, some, all: {refreshes:?}");
}

/// What the old index has of a distribution can be more than there is now.
#[test]
fn a_distribution_that_has_lost_its_names_leaves_room_for_another() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().canonicalize().expect("a path");
    let install = |name: &str, declared: &str| {
        let place = path.join(name);
        fs::create_dir(&place).expect("a directory");
        for (file, text) in [("METADATA", "Name: x\nVersion: 1\n"), ("top_level.txt", declared)] {
            fs::write(place.join(file), text).expect("room");
        }
        list_the_package(&place);
    };
    let package = path.join(PACKAGE);
    fs::create_dir(&package).expect("a directory");
    fs::write(package.join("__init__.py"), "").expect("room");
    for name in ["a-1.dist-info", "b-1.dist-info", "gone-1.dist-info"] {
        install(name, "");
    }
    // Two of the three fit, which take their name twice.
    let budget = Budget { names: 4 * PACKAGE.len() + 20, ..Budget::default() };
    let run = |old: Option<&Index<'_>>| {
        let site = SiteDir::open(path.clone()).expect("a directory");
        let request = Request { finished: true, budget, ..Request::thorough() };
        render(&reconcile(&site, old, &request, &Retries::default()).expect("a listing").index)
    };
    let first = run(None);
    let first = parse(&first).expect("our own index");
    let kept =
        |index: &Index<'_>| index.distributions.iter().map(|row| row.identity.is_some()).collect::<Vec<_>>();
    assert_eq!(kept(&first), [true, true, false]);
    fs::remove_dir_all(path.join("gone-1.dist-info")).expect("a directory");
    fs::remove_file(package.join("__init__.py")).expect("a file");
    install("new-1.dist-info", &"n".repeat(4 * PACKAGE.len()));
    let second = run(Some(&first));
    let second = parse(&second).expect("our own index");
    assert_eq!(kept(&second), [true, true, true]);
    assert_eq!(second, parse(&run(None)).expect("our own index"));
}

#[test]
fn a_directory_with_too_many_distributions_has_no_index() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().canonicalize().expect("a path");
    for name in ["a.egg-info", "b.egg-info", "c.egg-info"] {
        fs::write(path.join(name), "Name: x\n").expect("room");
    }
    let run = |distributions| {
        let site = SiteDir::open(path.clone()).expect("a directory");
        let budget = Budget { distributions, ..Budget::default() };
        let request = Request { budget, ..Request::thorough() };
        let outcome = reconcile(&site, None, &request, &Retries::default());
        outcome.map(|outcome| outcome.index.distributions.len()).map_err(|error| error.to_string())
    };
    assert_eq!(run(3), Ok(3));
    let error = run(2).expect_err("three are more");
    assert!(error.ends_with("can't read: there are more than 2 distributions in it"), "{error}");
}

fn history(u: &mut Unstructured<'_>, refreshes: &mut [u32; 3]) -> Result<()> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().canonicalize().expect("a path");
    let budget = Budget {
        entry_points: u.int_in_range(0..=3000)?,
        groups: u.int_in_range(0..=400)?,
        names: u.int_in_range(0..=200)?,
        ..Budget::default()
    };
    let mut bytes: Option<Vec<u8>> = None;
    let mut steps = vec![format!("{budget:?}")];
    for _ in 0..u.int_in_range(2..=6)? {
        let known = bytes.as_ref().map_or_else(BTreeSet::new, |bytes| names(bytes));
        for _ in 0..u.int_in_range(0..=5)? {
            steps.push(change(u, &path, &known)?);
        }
        let depth = *u.choose(&[Depth::Files, Depth::Files, Depth::Everything])?;
        steps.push(format!("refresh to the depth of {depth:?}"));
        let site = SiteDir::open(path.clone()).expect("a directory");
        let run = |old: Option<&Index<'_>>, depth, budget| {
            let request = Request { depth, finished: true, budget, ..Request::thorough() };
            let outcome = reconcile(&site, old, &request, &Retries::default()).expect("a listing");
            (render(&outcome.index), outcome.changes)
        };
        let old = bytes.as_ref().map(|bytes| parse(bytes).expect("our own index"));
        let (new, changes) = run(old.as_ref(), depth, budget);
        let (full, _) = run(None, Depth::Everything, budget);
        let (whole, _) = run(None, Depth::Everything, Budget::default());
        let [index, full, whole] = [&new, &full, &whole].map(|bytes| parse(bytes).expect("our own index"));
        assert_eq!(index, full, "{steps:#?}");
        let out = left_out(&whole, budget);
        compare(&index, &whole, &out, &steps);
        for row in &index.distributions {
            let name = row.file_name.to_vec();
            let known = old.as_ref().and_then(|old| old.find(&name));
            let is_same =
                known.is_some_and(|known| Distribution { position: row.position, ..known.clone() } == **row);
            assert_eq!(
                !is_same,
                changes.added.contains(&name) || changes.updated.contains(&name),
                "{steps:#?}"
            );
        }
        let (again, changes) = run(Some(&index), Depth::Directories, budget);
        assert!(again == new && changes.is_empty(), "{changes:?} {steps:#?}");
        let count = whole.distributions.len();
        refreshes[if out.is_empty() {
            0
        } else if out.len() < count {
            1
        } else {
            2
        }] += 1;
        bytes = Some(new);
    }
    Ok(())
}

/// The names of the distributions of an index.
fn names(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let index = parse(bytes).expect("our own index");
    index.distributions.iter().map(|row| row.file_name.to_vec()).collect()
}

/// Makes or removes a distribution. `known` are those of the last index.
fn change(u: &mut Unstructured<'_>, site: &Path, known: &BTreeSet<Vec<u8>>) -> Result<String> {
    let name = *u.choose(&NAMES)?;
    let place = site.join(name);
    let _ = fs::remove_dir_all(&place);
    if u.ratio(1, 4)? {
        return Ok(format!("remove {name}"));
    }
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=3)? {
        text.push_str(u.choose(&["[g]\n", "[h]\n", "[a long name of a group]\n"])?);
        text.push_str(&"n = m:a\n".repeat(u.int_in_range(0..=4)?));
    }
    if u.ratio(1, 8)? {
        text.push_str("[g]\nmalformed\n");
    }
    let names = if u.arbitrary()? { String::new() } else { "name\n".repeat(u.int_in_range(0..=20)?) };
    let metadata = format!("Name: x{}\nVersion: 1\n", "y".repeat(u.int_in_range(0..=60)?));
    fs::create_dir(&place).expect("a directory");
    let file = if name.ends_with(".egg-info") { "PKG-INFO" } else { "METADATA" };
    for (file, text) in [(file, metadata), ("entry_points.txt", text.clone()), ("top_level.txt", names)] {
        fs::write(place.join(file), text).expect("room");
    }
    list_the_package(&place);
    // Other distributions list the package, too: its file may vanish with this one. Nothing shows that to a refresh
    // where the last index has not had this one.
    let package = site.join(PACKAGE);
    let _ = fs::create_dir(&package);
    if u.ratio(1, 4)? && known.contains(name.as_bytes()) {
        let _ = fs::remove_file(package.join("__init__.py"));
    } else if !package.join("__init__.py").exists() {
        fs::write(package.join("__init__.py"), "").expect("room");
        // What was opaque without this file is read again only after a change.
        NAMES
            .map(|name| site.join(name))
            .iter()
            .filter(|place| place.exists())
            .for_each(|place| list_the_package(place));
    }
    Ok(format!("make {name}: {text:?}"))
}

fn list_the_package(place: &Path) {
    let _ = fs::remove_file(place.join("RECORD"));
    fs::write(place.join("RECORD"), format!("{PACKAGE}/__init__.py,,\n")).expect("room");
}

/// What a distribution takes: entry points, its own groups, names.
fn cost(row: &Distribution<'_>) -> [usize; 3] {
    let entries: Vec<_> = row.entry_points.iter().flatten().collect();
    let texts = entries.iter().map(|entry| entry.group.len() + entry.name.len() + entry.value.len());
    let entry_points = texts.map(|length| length + ENTRY_POINT).sum();
    let mut groups: Vec<_> = entries.iter().map(|entry| &*entry.group).collect();
    groups.dedup();
    let identity = row.identity.iter().flat_map(|identity| [&identity.name, &identity.version]).flatten();
    let TopLevel { names, python_names, missing, .. } = &row.top_level;
    let names =
        identity.chain(&row.requirements).chain([names, python_names, missing]).map(|text| text.len()).sum();
    [entry_points, groups.iter().map(|group| group.len() + GROUP).sum(), names]
}

/// The rows that do not fit: those that take most.
fn left_out(whole: &Index<'_>, budget: Budget) -> BTreeSet<usize> {
    let rows = &whole.distributions;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| (cost(&rows[*row]).iter().sum::<usize>(), *row));
    let fits = |rows_in: &[usize]| {
        let sum = |kind: usize| rows_in.iter().map(|row| cost(&rows[*row])[kind]).sum::<usize>();
        let entries = rows_in.iter().flat_map(|row| rows[*row].entry_points.iter().flatten());
        let groups: BTreeSet<_> = entries.map(|entry| &*entry.group).collect();
        let groups: usize = groups.iter().map(|group| group.len() + GROUP).sum();
        sum(0) <= budget.entry_points && groups <= budget.groups && sum(2) <= budget.names
    };
    let most = (0..=order.len()).rev().find(|count| fits(&order[..*count])).expect("nothing fits always");
    order.split_off(most).into_iter().collect()
}

fn compare(index: &Index<'_>, whole: &Index<'_>, out: &BTreeSet<usize>, steps: &[String]) {
    assert_eq!(index.distributions.len(), whole.distributions.len(), "{steps:#?}");
    for (number, (row, whole)) in index.distributions.iter().zip(&whole.distributions).enumerate() {
        if out.contains(&number) {
            let hidden = row.identity.is_none() && row.entry_points.is_none();
            assert!(hidden && row.top_level.kind == Kind::Opaque, "{row:?} {steps:#?}");
            assert_eq!(row.stamps, whole.stamps, "{steps:#?}");
        } else {
            assert_eq!(row, whole, "{steps:#?}");
        }
    }
}
