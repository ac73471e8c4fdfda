//! Many environments: those of the configuration, cleaning the cache, and watching.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::program::{Ended, Place, UNTRUSTED_UID, give_away, run, skipped_without_root, wait};
use crate::support::tree::{Tree, everything_below, install};

const OTHER_UID: u32 = 54322;

/// An environment with one distribution, which this user owns; its site directory.
fn environment(path: &Path, owner: u32) -> PathBuf {
    let site = path.join("lib/python3.13/site-packages");
    fs::create_dir_all(&site).expect("a directory");
    install(&site, "foo");
    for below in everything_below(path).into_keys() {
        give(&below, owner);
    }
    site
}

fn give(path: &Path, owner: u32) {
    lchown(path, Some(owner), Some(owner)).expect("root may");
}

fn sites(ended: &Ended) -> Vec<String> {
    let lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| line["site"].as_str().expect("a site directory").to_owned()).collect()
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn all_environments_of_the_configuration_are_refreshed_each_as_its_owner() {
    if skipped_without_root("make environments of several users") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    tree.configure("environments = ['/opt/*', '/home/*/.venvs/*', '/missing/*', '/opt/one']\n");
    let one = environment(&tree.root.join("opt/one"), 0);
    place.directory("tree/opt/other/lib");
    fs::write(tree.root.join("opt/file"), "").expect("room");
    let mut expected = vec![one.clone()];
    for (user, uid) in [("ann", UNTRUSTED_UID), ("bob", OTHER_UID)] {
        let home = place.directory(&format!("tree/home/{user}"));
        let venvs = place.directory(&format!("tree/home/{user}/.venvs"));
        expected.push(environment(&venvs.join("a"), uid));
        expected.push(environment(&venvs.join("b"), uid));
        fs::set_permissions(&home, Permissions::from_mode(0o700)).expect("our own");
        [&home, &venvs].into_iter().for_each(|path| give(path, uid));
    }
    // One leads to the environments of another user, and one to the system.
    for (user, uid, to) in [("eve", OTHER_UID, "/home/ann/.venvs"), ("eva", OTHER_UID, "/opt")] {
        let home = place.directory(&format!("tree/home/{user}"));
        symlink(to, home.join(".venvs")).expect("a link");
        [&home, &home.join(".venvs")].into_iter().for_each(|path| give(path, uid));
    }
    let refreshed = run(place.epcache(["refresh", "--all", "--no-seal", "--json", "--root"]).arg(&tree.root));
    let mut found = sites(&refreshed);
    assert_eq!(refreshed.status, Some(0), "{refreshed:?}");
    found.sort();
    expected.push(tree.site.clone());
    let mut wanted: Vec<String> = expected.iter().map(|site| path_text(site)).collect();
    wanted.sort();
    assert_eq!(found, wanted, "{refreshed:?}");
    for home in ["eve", "eva"] {
        assert!(refreshed.err.contains(&format!("home/{home}/.venvs: skipped: ")), "{refreshed:?}");
    }
    for site in expected.iter().filter(|site| **site != tree.site) {
        let index = fs::metadata(site.join(".epcache/index")).expect("an index");
        assert_eq!(index.uid(), fs::metadata(site).expect("a directory").uid(), "{}", site.display());
    }
    let status = run(place.epcache(["status", "--all", "--root"]).arg(&tree.root));
    assert_eq!(status.out.lines().count(), wanted.len(), "{status:?}");

    // Other users have their own ones, and can't see those of others.
    let own = run(place.epcache_as_untrusted_user(["status", "--all", "--json", "--root"]).arg(&tree.root));
    let own: Value = serde_json::from_str(&own.out).expect("JSON");
    let own: Vec<&str> =
        own.as_array().expect("a list").iter().filter_map(|site| site["site"].as_str()).collect();
    let ann = |name: &str| {
        path_text(&tree.root.join(format!("home/ann/.venvs/{name}/lib/python3.13/site-packages")))
    };
    assert_eq!(own, [&ann("a"), &ann("b"), &path_text(&tree.site)]);
}

#[test]
fn indexes_without_a_site_directory_are_removed_from_the_own_cache() {
    if skipped_without_root("make directories of another user") {
        return;
    }
    let place = Place::new();
    give_away(&place.directory("home"));
    let [kept, gone] = ["kept", "gone"].map(|name| {
        let site = place.directory(&format!("{name}/site-packages"));
        install(&site, "foo");
        site
    });
    let refreshed = run(place.epcache_as_untrusted_user(["refresh"]).args([&kept, &gone]));
    assert_eq!(refreshed.status, Some(0), "{refreshed:?}");
    let index = |site: &Path| {
        let below = site.strip_prefix("/").expect("absolute");
        place.path().join("home/.cache/epcache").join(below).join("index")
    };
    fs::remove_dir_all(&gone).expect("removed");
    let clean = |arguments: &[&str]| run(place.epcache_as_untrusted_user(["clean"]).args(arguments));
    let planned = clean(&["--dry-run"]);
    assert_eq!((planned.status, planned.err.as_str()), (Some(0), ""));
    assert_eq!(planned.out, format!("{}: its index would be removed\n", gone.display()));
    assert!(index(&gone).exists());
    let cleaned = clean(&["--json"]);
    assert_eq!(cleaned.status, Some(0), "{cleaned:?}");
    assert_eq!(sites(&cleaned), [path_text(&gone)]);
    assert!(index(&kept).exists() && !index(&gone).exists());
    let again = clean(&[]);
    let top = place.path().join("home/.cache/epcache");
    assert_eq!(again.out, format!("{}: nothing to remove\n", top.display()));
}

#[test]
fn root_removes_indexes_of_what_is_no_system_wide_site_directory_any_more() {
    if skipped_without_root("become another user") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    tree.configure("site-directories = ['/usr/lib/python3/dist-packages', '/srv/*/site-packages']\n");
    install(&tree.site, "foo");
    let sites_below = ["one", "two"].map(|name| place.directory(&format!("tree/srv/{name}/site-packages")));
    sites_below.iter().for_each(|site| drop(install(site, "foo")));
    let refreshed = run(place.epcache(["refresh", "--system", "--no-seal", "--root"]).arg(&tree.root));
    assert_eq!(refreshed.status, Some(0), "{refreshed:?}");
    fs::remove_dir_all(&sites_below[0]).expect("removed");
    tree.configure("site-directories = ['/usr/lib/python3/dist-packages']\n");
    let cleaned = run(place.epcache(["clean", "--json", "--root"]).arg(&tree.root));
    let mut found = sites(&cleaned);
    found.sort();
    assert_eq!(found, ["/srv/one/site-packages", "/srv/two/site-packages"], "{cleaned:?}");
    assert!(tree.index.exists());
    // What can't be examined may have an index that is right.
    tree.configure("site-directories = []\nenvironments = 3\n");
    let broken = run(place.epcache(["clean", "--root"]).arg(&tree.root));
    assert!(broken.status == Some(3) && broken.err.contains("config.toml:2"), "{broken:?}");
    assert!(tree.index.exists());
}

#[test]
fn what_is_installed_while_it_is_watched_is_in_the_index() {
    let place = Place::new();
    let site = place.directory("site-packages");
    give_away(&site);
    let mut watching = place.epcache_as_untrusted_user(["watch", "--json"]);
    let mut watching = watching
        .arg(&site)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("a line").expect("UTF-8");
        serde_json::from_str(&line).expect("JSON")
    };
    assert_eq!(next()["added"], serde_json::json!([]));
    // The kernel reports it, although it is there before the first distribution is.
    for name in ["one", "two"] {
        let path = install(&site, name);
        everything_below(&path).keys().for_each(|path| give_away(path));
        assert_eq!(next()["added"], serde_json::json!([format!("{name}-1.dist-info")]));
    }
    fs::remove_dir_all(site.join("one-1.dist-info")).expect("removed");
    assert_eq!(next()["removed"], serde_json::json!(["one-1.dist-info"]));
    let verified = run(place.epcache_as_untrusted_user(["verify"]).arg(&site));
    assert_eq!(verified.status, Some(0), "{verified:?}");

    fs::remove_dir_all(&site).expect("removed");
    let ended = wait(watching, Instant::now());
    assert!(ended.status == Some(3) && ended.err.contains("is not watched any more"), "{ended:?}");
}

#[test]
fn watching_ends_with_a_signal_and_needs_a_directory() {
    let place = Place::new();
    let site = place.directory("site-packages");
    give_away(&site);
    let mut command = place.epcache_as_untrusted_user(["watch"]);
    let mut watching = command
        .arg(&site)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut first = String::new();
    let mut out = BufReader::new(watching.stdout.take().expect("a pipe"));
    out.read_line(&mut first).expect("UTF-8");
    assert!(first.contains(": 0 added"), "{first}");
    kill(Pid::from_raw(watching.id() as libc::pid_t), Signal::SIGTERM).expect("our own child");
    assert_eq!(wait(watching, Instant::now()).status, None);

    let none = run(place.epcache_as_untrusted_user(["watch"]).arg(place.path().join("missing")));
    assert!(none.status == Some(3) && none.err.contains("does not exist"), "{none:?}");
}
