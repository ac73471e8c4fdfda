//! How `status`, `verify` and `refresh` treat changes that only the importable names show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A site directory with a package, and a distribution that lists its file.
fn site(below: &Path) -> PathBuf {
    let site = below.join("site-packages");
    for directory in ["pkg", "foo-1.dist-info"] {
        fs::create_dir_all(site.join(directory)).expect("a directory");
    }
    fs::write(site.join("pkg/__init__.py"), "").expect("room");
    fs::write(site.join("foo-1.dist-info/METADATA"), "Name: foo\nVersion: 1\n").expect("room");
    fs::write(site.join("foo-1.dist-info/RECORD"), "pkg/__init__.py,,\nmod.py,,\n").expect("room");
    fs::write(site.join("foo-1.dist-info/entry_points.txt"), "[g]\na = m:f\n").expect("room");
    fs::write(site.join("foo-1.dist-info/INSTALLER"), "pip\n").expect("room");
    site
}

fn epcache(arguments: &[&str], site: &Path) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_epcache")).args(arguments).arg(site).output().expect("epcache runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

/// The line of the segment `top-level`, behind its stamps.
fn names(site: &Path) -> String {
    let index = fs::read_to_string(site.join(".epcache/index")).expect("an index");
    let line = index.lines().find(|line| line.contains("\tinferred\t") || line.contains("\tnone\t"));
    line.expect("a row").splitn(3, '\t').last().expect("fields").to_owned()
}

#[test]
fn a_new_module_is_seen_although_no_stamp_of_the_distribution_changes() {
    let below = tempfile::tempdir().expect("a temporary directory");
    let site = site(below.path());
    epcache(&["refresh"], &site);
    assert_eq!(names(&site), "inferred\tpkg/\tmod pkg");
    fs::write(site.join("mod.py"), "").expect("room");
    let (status, output) = epcache(&["status"], &site);
    assert!(status == Some(1) && output.contains("stale: updated: foo-1.dist-info"), "{output}");
    let (status, output) = epcache(&["verify"], &site);
    assert!(status == Some(1) && output.contains("foo-1.dist-info: importable names differ"), "{output}");
    epcache(&["refresh"], &site);
    assert_eq!(names(&site), "inferred\tmod.py pkg/\tmod pkg");
    fs::remove_dir_all(site.join("pkg")).expect("a directory");
    epcache(&["refresh"], &site);
    assert_eq!(names(&site), "inferred\tmod.py\tmod pkg");
    assert_eq!(epcache(&["verify"], &site).0, Some(0));
}

#[test]
fn removal_of_a_shared_file_by_another_distribution_is_seen() {
    let below = tempfile::tempdir().expect("a temporary directory");
    let site = site(below.path());
    fs::write(site.join("foo-1.dist-info/RECORD"), "pkg/foo.py,,\n").expect("room");
    fs::write(site.join("pkg/foo.py"), "").expect("room");
    // A second distribution lists the same file; another file keeps the directory from being removed with it.
    fs::create_dir(site.join("foo.egg-info")).expect("a directory");
    fs::write(site.join("foo.egg-info/PKG-INFO"), "Name: foo\nVersion: 0\n").expect("room");
    fs::write(site.join("foo.egg-info/SOURCES.txt"), "pkg/foo.py\n").expect("room");
    epcache(&["refresh"], &site);
    assert_eq!(names(&site), "inferred\tpkg/\tpkg");
    fs::remove_file(site.join("pkg/foo.py")).expect("a file");
    fs::remove_dir_all(site.join("foo.egg-info")).expect("a directory");
    let (_, output) = epcache(&["refresh"], &site);
    assert!(output.contains("1 updated") && output.contains("1 removed"), "{output}");
    let index = fs::read_to_string(site.join(".epcache/index")).expect("an index");
    assert!(index.contains("\topaque\t") && !index.contains("\tinferred\t"), "{index}");
    assert_eq!(epcache(&["verify"], &site).0, Some(0));
}

#[test]
fn a_file_list_edited_in_place_is_seen() {
    let below = tempfile::tempdir().expect("a temporary directory");
    let site = site(below.path());
    epcache(&["refresh"], &site);
    fs::write(site.join("foo-1.dist-info/RECORD"), "pkg/__init__.py,,\nmod2py,,\n").expect("room");
    let (status, output) = epcache(&["status"], &site);
    assert!(status == Some(1) && output.contains("stale: updated: foo-1.dist-info"), "{output}");
    epcache(&["refresh"], &site);
    assert_eq!(names(&site), "inferred\tpkg/\tpkg");
}

#[test]
fn a_distribution_indexed_during_its_installation_is_read_again() {
    let below = tempfile::tempdir().expect("a temporary directory");
    let site = site(below.path());
    fs::remove_file(site.join("pkg/__init__.py")).expect("a file");
    epcache(&["refresh"], &site);
    let index = fs::read_to_string(site.join(".epcache/index")).expect("an index");
    assert!(index.contains("\topaque\t"), "{index}");
    fs::write(site.join("pkg/__init__.py"), "").expect("room");
    // The file that an installer writes last is old enough.
    std::thread::sleep(epcache::freshness::clock::SETTLE_AFTER);
    epcache(&["refresh"], &site);
    assert_eq!(names(&site), "inferred\tpkg/\tmod pkg");
}

#[test]
fn a_file_that_3_9_may_read_differently_is_flagged() {
    let below = tempfile::tempdir().expect("a temporary directory");
    let site = site(below.path());
    let flags = |text: &str| {
        fs::write(site.join("foo-1.dist-info/entry_points.txt"), text).expect("room");
        epcache(&["refresh"], &site);
        let index = fs::read_to_string(site.join(".epcache/index")).expect("an index");
        let row = index.lines().find(|line| line.starts_with("foo-1.dist-info\t")).expect("a row");
        row.split('\t').nth(1).expect("flags").to_owned()
    };
    assert_eq!(flags("[g]\na = m:f\n"), "");
    assert_eq!(flags("[g]\na = m:f\na = m:g\n"), "c");
    // No reader takes it from the index.
    assert_eq!(flags("[g]\nnoeq\n"), "e");
}
