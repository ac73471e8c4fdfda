//! `refresh --usr`: indexes that are part of an image.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::program::{Ended, Place, UNTRUSTED_UID, is_root, run, skipped_without_root};
use crate::support::tree::{CACHE_USER, Tree, everything_below, indexed, install};

const REFRESH: [&str; 5] = ["refresh", "--system", "--seal", "--usr", "--root"];

fn refresh(place: &Place, tree: &Tree) -> Ended {
    run(place.epcache(REFRESH).arg(&tree.root))
}

/// The directory of the indexes of an image.
fn top(tree: &Tree) -> PathBuf {
    tree.root.join("usr/lib/epcache/index")
}

fn index(tree: &Tree) -> PathBuf {
    top(tree).join("usr/lib/python3/dist-packages/index")
}

/// A tree with one distribution and an index in its `/usr`.
fn composed(place: &Place) -> Tree {
    let tree = Tree::new(place);
    install(&tree.site, "foo");
    let ended = refresh(place, &tree);
    assert!(ended.status == Some(0) && ended.err.is_empty(), "{ended:?}");
    assert!(ended.out.contains("; sealed"), "{ended:?}");
    tree
}

fn status(place: &Place, tree: &Tree) -> (serde_json::Value, Ended) {
    let ended = run(place.epcache(["status", "--json", "--system", "--root"]).arg(&tree.root));
    let found: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
    (found[0].clone(), ended)
}

#[test]
fn without_system_and_seal_or_with_others_it_is_wrong_usage() {
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let before = everything_below(&tree.root);
    for arguments in [
        &["--usr"][..],
        &["--usr", "--system"],
        &["--usr", "--seal"],
        &["--usr", "--system", "--no-seal"],
        &["--usr", "--system", "--seal", "--no-seal"],
        &["--usr", "--system", "--seal", "--dry-run"],
        &["--usr", "--system", "--seal", "--wait"],
        &["--usr", "--system", "--seal", "--after", "pip"],
        &["--usr", "--system", "--seal", "--user"],
        &["--usr", "--system", "--seal", "--all"],
        &["--usr", "--system", "--seal", "--venv", "/opt/venv"],
        &["--usr", "--system", "--seal", "--python", "python3"],
        &["--usr", "--system", "--seal", "/usr/lib/python3/dist-packages"],
    ] {
        let ended = run(place.epcache(["refresh"]).args(arguments).arg("--root").arg(&tree.root));
        assert!(ended.status == Some(2) && ended.err.contains("--usr"), "{arguments:?}: {ended:?}");
    }
    assert_eq!(everything_below(&tree.root), before);
}

#[test]
fn it_belongs_to_root_and_nothing_else_is_changed() {
    if skipped_without_root("write to /usr") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    // No user `epcache` is needed.
    fs::write(tree.root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").expect("room");
    let is_of_image = |path: &Path| path.starts_with(tree.root.join("usr/lib/epcache"));
    let outside = || {
        let mut found = everything_below(&tree.root);
        // The directory gets a new name.
        found.retain(|path, _| !is_of_image(path) && *path != tree.root.join("usr/lib"));
        found
    };
    let before = outside();
    for number in 0..2 {
        let ended = refresh(&place, &tree);
        assert!(ended.status == Some(0) && ended.err.is_empty(), "{number}: {ended:?}");
        assert_eq!(outside(), before);
        let made = everything_below(&tree.root.join("usr/lib/epcache"));
        let files: Vec<&PathBuf> = made.keys().filter(|path| path.is_file()).collect();
        assert_eq!(files, [&index(&tree)]);
        for path in made.keys() {
            let meta = fs::metadata(path).expect("it is there");
            let mode = if meta.is_dir() { 0o755 } else { 0o644 };
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (0, 0, mode), "{}", path.display());
        }
    }
    assert_eq!(indexed(&index(&tree)), ["foo-1.dist-info"]);
}

#[test]
fn two_composes_give_the_same_bytes() {
    if skipped_without_root("write to /usr") {
        return;
    }
    let bytes = |names: [&str; 3], time: u64| {
        let place = Place::new();
        let tree = Tree::new(&place);
        names.iter().for_each(|name| drop(install(&tree.site, name)));
        for path in everything_below(&tree.site).into_keys() {
            let file = fs::File::open(path).expect("it is there");
            file.set_modified(UNIX_EPOCH + Duration::from_secs(time)).expect("ours");
        }
        let ended = refresh(&place, &tree);
        assert!(ended.status == Some(0) && ended.err.is_empty(), "{ended:?}");
        fs::read(index(&tree)).expect("an index")
    };
    let one = bytes(["foo", "bar", "baz"], 0);
    assert_eq!(one, bytes(["baz", "foo", "bar"], 1_700_000_000));
    assert_ne!(one, bytes(["baz", "foo", "bax"], 0));
}

#[test]
fn neither_triggers_nor_other_commands_change_it() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = composed(&place);
    let before = everything_below(&top(&tree));
    install(&tree.site, "bar");
    for cache_is_there in [true, false] {
        if !cache_is_there {
            // Then a trigger can write no index.
            fs::remove_dir_all(tree.root.join("var")).expect("ours");
        }
        for arguments in [
            &["trigger", "dpkg"][..],
            &["trigger", "dpkg", "--before"],
            &["trigger", "dpkg", "--nonsense"],
            &["refresh", "--system"],
            &["refresh", "--system", "--full", "--seal"],
            &["clean"],
            &["status", "--system"],
            &["verify", "--system"],
            &["list", "--system"],
        ] {
            let mut command = place.epcache(arguments);
            match arguments[0] {
                "trigger" => command.env("DPKG_ROOT", &tree.root),
                _ => command.arg("--root").arg(&tree.root),
            };
            let ended = run(command);
            assert_eq!(everything_below(&top(&tree)), before, "{arguments:?}: {ended:?}");
        }
        assert_eq!(tree.index.exists(), cache_is_there);
    }
}

#[test]
fn doing_nothing_is_an_error() {
    if skipped_without_root("write to /usr") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    fs::create_dir_all(tree.root.join("opt/site")).expect("a directory");
    for (configuration, why) in [
        ("site-directories = ['/nowhere']", "no site directories found; looked for system-wide ones"),
        ("site-directories = ['/opt/site']", "/opt/site: has no index in /usr, since it is not in /usr"),
    ] {
        tree.configure(configuration);
        let ended = refresh(&place, &tree);
        assert!(ended.status == Some(3) && ended.err.contains(why), "{ended:?}");
        assert!(ended.out.is_empty() && !top(&tree).exists(), "{ended:?}");
    }
}

#[test]
fn who_is_not_root_gets_an_error() {
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    if is_root() {
        composed(&place);
    }
    let before = everything_below(&tree.root);
    let ended = run(place.epcache_as_untrusted_user(REFRESH).arg(&tree.root));
    assert_eq!(ended.status, Some(3), "{ended:?}");
    if is_root() {
        assert!(ended.err.contains("usr/lib/epcache/index: belongs to another user (0)"), "{ended:?}");
        assert!(ended.err.contains("hint: run it as root when the image is made"), "{ended:?}");
        assert_eq!(everything_below(&tree.root), before);
    }
}

#[test]
fn one_that_is_not_root_s_or_that_others_may_write_is_skipped() {
    if skipped_without_root("give files to other users") {
        return;
    }
    for (owner, mode, why) in [
        (UNTRUSTED_UID, 0o644, "skipped: owned by untrusted uid 54321"),
        // That user is trusted in /var/cache alone.
        (CACHE_USER, 0o644, "skipped: owned by untrusted uid 43210"),
        (0, 0o664, "skipped: users other than its owner may write to it"),
    ] {
        let place = Place::new();
        let tree = composed(&place);
        chown(index(&tree), Some(owner), None).expect("root may");
        fs::set_permissions(index(&tree), Permissions::from_mode(mode)).expect("root may");
        let (found, ended) = status(&place, &tree);
        assert_eq!(found["state"], "missing", "{ended:?}");
        assert!(ended.err.contains(&format!("{}: {why}", index(&tree).display())), "{ended:?}");
        // The next compose does not believe it, and takes its place.
        let ended = refresh(&place, &tree);
        assert!(ended.status == Some(0) && ended.out.contains("1 added"), "{ended:?}");
        assert_eq!(status(&place, &tree).0["state"], "fresh");
    }
}

#[test]
fn status_tells_which_index_readers_use() {
    if skipped_without_root("write to /usr") {
        return;
    }
    let place = Place::new();
    let tree = composed(&place);
    let assert_used = |state: &str, path: &Path| {
        let (found, ended) = status(&place, &tree);
        assert_eq!(
            (found["state"].as_str(), found["index"].as_str()),
            (Some(state), path.to_str()),
            "{ended:?}"
        );
        found
    };
    let found = assert_used("fresh", &index(&tree));
    assert_eq!(
        (&found["sealed"], &found["reason"]),
        (&true.into(), &"1 distributions; sealed, of the image".into())
    );
    assert_eq!(run(place.epcache(["verify", "--system", "--root"]).arg(&tree.root)).status, Some(0));

    // Then one `stat` proves more.
    let ended = run(place.epcache(["refresh", "--system", "--no-seal", "--root"]).arg(&tree.root));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    std::thread::sleep(Duration::from_secs(3));
    let ended = run(place.epcache(["refresh", "--system", "--no-seal", "--root"]).arg(&tree.root));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_used("fresh", &tree.index);

    // As in another deployment: other stamps, and an index in /var that is about the one before.
    fs::File::open(&tree.site).and_then(|site| site.set_modified(UNIX_EPOCH)).expect("ours");
    assert_used("fresh", &index(&tree));

    fs::write(tree.site.join("foo-1.dist-info/entry_points.txt"), "[g]\nnew = m\n").expect("room");
    let found = assert_used("stale", &index(&tree));
    assert_eq!(found["reason"], "updated: foo-1.dist-info");
    assert!(found["hint"].as_str().is_some_and(|hint| !hint.contains("--seal")), "{found}");
}

#[test]
fn a_dry_run_is_about_the_index_that_would_be_written() {
    if skipped_without_root("write to /usr") {
        return;
    }
    let place = Place::new();
    let tree = composed(&place);
    let ended = run(place.epcache(["refresh", "--dry-run", "--system", "--root"]).arg(&tree.root));
    assert!(ended.status == Some(0) && ended.out.contains(": 1 added, "), "{ended:?}");
}
