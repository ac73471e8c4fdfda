//! The files that a worker process can reach.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use crate::cli::privileges::at_work;
use crate::support::program::{Place, UNTRUSTED_UID, give_away, run, skipped_without_root, wait};
use crate::support::tree::{everything_below, install, text};

/// The directories without distributions that the index of a site directory records.
fn recorded_directories(site: &Path) -> Vec<String> {
    let bytes = fs::read(site.join(".epcache/index")).expect("an index");
    let index = epcache::index::parse(&bytes).expect("an intact index");
    index.without.iter().map(|without| String::from_utf8_lossy(&without.path).into_owned()).collect()
}

#[test]
fn the_standard_library_is_reachable_beside_an_environment_or_elsewhere() {
    if skipped_without_root("work as another user") {
        return;
    }
    for (owner, python) in [(UNTRUSTED_UID, "python3.13"), (0, "python3.13"), (0, "pypy3.11")] {
        let place = Place::new();
        let base = place.directory("far/away");
        let environment = place.directory("venv");
        for prefix in [&base, &environment] {
            fs::create_dir_all(prefix.join("lib").join(python).join("lib-dynload")).expect("room");
        }
        let site = place.directory(&format!("venv/lib/{python}/site-packages"));
        install(&site, "foo");
        if owner != 0 {
            everything_below(&environment).into_keys().for_each(|path| give_away(&path));
        }
        let refresh = || assert_eq!(run(place.epcache(["refresh", text(&site)])).status, Some(0));
        let both = |prefix: &Path| ["", "lib-dynload"].map(|end| prefix.join("lib").join(python).join(end));
        let both = |prefix: &Path| both(prefix).map(|path| text(&path).trim_end_matches('/').to_owned());
        refresh();
        assert_eq!(recorded_directories(&site), both(&environment), "{python} as {owner}");
        fs::write(environment.join("pyvenv.cfg"), format!("home = {}/bin\n", base.display())).expect("room");
        install(&site, "bar");
        refresh();
        assert_eq!(recorded_directories(&site), both(&base), "{python} as {owner}");
    }
}

#[test]
fn root_does_not_follow_a_link_out_of_a_site_directory() {
    if skipped_without_root("work as another user") || !super::kernel::has_everything() {
        return;
    }
    let place = Place::new();
    let site = place.directory("site");
    let directory = install(&site, "foo");
    install(&site, "bar");
    fs::remove_file(directory.join("entry_points.txt")).expect("it is there");
    fs::write(place.path().join("outside"), "[g]\nsecret = m:f\n").expect("room");
    symlink(place.path().join("outside"), directory.join("entry_points.txt")).expect("room");
    everything_below(&site).into_keys().for_each(|path| give_away(&path));
    let ended = run(place.epcache(["list", "--site", text(&site)]));
    assert_eq!((ended.status, ended.out.as_str()), (Some(0), "g: bar = m:f (bar 1)\n"), "{ended:?}");
    assert!(ended.err.contains("foo-1.dist-info: entry_points.txt: Permission denied"), "{ended:?}");
    // Its owner sees what the owner may see.
    let ended = run(place.epcache_as_untrusted_user(["list", "--site", text(&site)]));
    assert!(ended.out.contains("g: secret = m:f (foo 1)"), "{ended:?}");
}

#[test]
fn a_link_in_place_of_the_index_directory_is_not_followed_when_confined() {
    if skipped_without_root("work as another user") {
        return;
    }
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    let elsewhere = place.directory("elsewhere");
    symlink(&elsewhere, site.join(".epcache")).expect("room");
    let ended = run(place.epcache(["refresh", text(&site)]));
    assert!(ended.status == Some(3) && ended.err.contains(".epcache"), "{ended:?}");
    assert_eq!(fs::read_dir(&elsewhere).expect("a listing").count(), 0);
}

#[test]
fn a_caller_without_privileges_works_in_a_confined_process() {
    let place = Place::new();
    let site = place.directory("venv/lib/python3.13/site-packages");
    let distribution = install(&site, "foo");
    let elsewhere = place.path().join("elsewhere");
    fs::write(&elsewhere, "[g]\nlinked = m:f\n").expect("room");
    fs::remove_file(distribution.join("entry_points.txt")).expect("ours");
    symlink(&elsewhere, distribution.join("entry_points.txt")).expect("a link");
    let home = place.directory("home");
    for path in everything_below(&place.path().join("venv")).into_keys().chain([home.clone()]) {
        give_away(&path);
    }
    let own = |words: &[&str]| run(place.epcache_as_untrusted_user(words));
    // A link that leads elsewhere is not followed into an index, but is in a list of one's own.
    let ended = own(&["refresh", text(&site)]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let ended = own(&["list", "--site", text(&site)]);
    assert!(ended.out.contains("g: linked = m:f (foo 1)"), "{ended:?}");
    // The cache directory is made, which needs rights outside of it.
    let others = place.directory("others");
    install(&others, "bar");
    if crate::support::program::is_root() {
        let ended = own(&["refresh", text(&others)]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let index = home.join(".cache/epcache").join(text(&others).trim_start_matches('/')).join("index");
        assert_eq!(fs::metadata(index).expect("an index").permissions().mode() & 0o777, 0o600);
    }
    if !super::kernel::has_everything() {
        return;
    }
    let lock = fs::File::open(site.join(".epcache/lock")).expect("a lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("nobody has it");
    let start = std::time::Instant::now();
    let mut command = place.epcache_as_untrusted_user(["refresh", text(&site)]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("epcache starts");
    let status = fs::read_to_string(at_work(&mut child).join("status")).expect("it is waiting");
    drop(lock);
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let ended = wait(child, start);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}
