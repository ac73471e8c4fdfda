//! Metadata that can't or must not be read.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{AtFlags, linkat};

use crate::support::program::{Ended, Place, give_away, is_root, run, skipped_without_root};
use crate::support::tree::{Tree, indexed, install, names};

/// Refreshes and lists a site directory with a special file in `odd-1.dist-info` besides `foo` and `zoo`.
fn with_something_odd(make: impl FnOnce(&Path)) -> Ended {
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    install(&site, "zoo");
    make(&site);
    let path = site.to_str().expect("UTF-8");
    let ended = run(place.epcache(["refresh", "--json", path]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(names(&ended.out, "added").len(), 3, "{ended:?}");
    assert_eq!(
        indexed(&site.join(".epcache/index")),
        ["foo-1.dist-info", "odd-1.dist-info", "zoo-1.dist-info"]
    );
    let listed = run(place.epcache(["list", "--json", "--site", path]));
    // Links are not followed for root.
    let is_linked = |name: &str| site.join("odd-1.dist-info").join(name).is_symlink();
    let is_linked = site.join("odd-1.dist-info").is_symlink()
        || ["METADATA", "entry_points.txt"].map(is_linked).contains(&true);
    let status = if is_linked && is_root() { 3 } else { 0 };
    assert_eq!(listed.status, Some(status), "{listed:?}");
    for name in ["foo", "zoo"] {
        assert!(listed.out.contains(&format!("\"name\":\"{name}\"")), "{listed:?}");
    }
    assert!(ended.took + listed.took < Duration::from_secs(10), "{ended:?}");
    ended
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a FIFO");
}

#[test]
fn a_fifo_does_not_block_a_refresh() {
    for name in ["METADATA", "entry_points.txt"] {
        let ended = with_something_odd(|site| {
            let directory = install(site, "odd");
            fs::remove_file(directory.join(name)).expect("our own file");
            fifo(&directory.join(name));
        });
        assert!(
            ended.err.contains(&format!("site/odd-1.dist-info: {name}: not a regular file")),
            "{ended:?}"
        );
    }
    let ended = with_something_odd(|site| fifo(&site.join("odd-1.dist-info")));
    assert!(ended.err.contains("odd-1.dist-info: neither a directory nor a regular file"), "{ended:?}");
}

#[test]
fn a_socket_is_reported() {
    let ended = with_something_odd(|site| {
        let directory = install(site, "odd");
        fs::remove_file(directory.join("METADATA")).expect("our own file");
        drop(UnixListener::bind(directory.join("METADATA")).expect("a socket"));
    });
    assert!(ended.err.contains("odd-1.dist-info: METADATA: "), "{ended:?}");
}

#[test]
fn a_file_of_one_gib_is_not_read() {
    for name in ["METADATA", "entry_points.txt"] {
        let ended = with_something_odd(|site| {
            let file = File::create(install(site, "odd").join(name)).expect("a file");
            file.set_len(1 << 30).expect("a sparse file");
        });
        assert!(
            ended.err.contains(&format!("odd-1.dist-info: {name}: 1073741824 bytes, more than the")),
            "{ended:?}"
        );
    }
}

#[test]
fn a_directory_of_a_million_entries_takes_little_memory() {
    // In memory, where it takes a second.
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let site = place.path().join("site");
    install(&site, "foo");
    let directory = File::open(&site).expect("a directory");
    // Links to one file are made faster than files, but the number of links of a file is limited.
    for number in 0..1_000_000 {
        let name = format!("module_{number:07}.py");
        let first = format!("module_{:07}.py", number / 50_000 * 50_000);
        if name == first {
            File::create(site.join(&name)).expect("a file");
        } else {
            linkat(&directory, &first, &directory, &name, AtFlags::empty()).expect("a link");
        }
    }
    let refresh = "ulimit -v 150000 && exec \"$0\" refresh \"$1\"";
    let ended = run(Command::new("sh").args(["-c", refresh, env!("CARGO_BIN_EXE_epcache")]).arg(&site));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.out.contains("1 added"), "{ended:?}");
}

#[test]
fn an_environment_has_a_bounded_number_of_interpreters() {
    let place = Place::new();
    let environment = place.directory("environment");
    for number in 100..170 {
        fs::create_dir_all(environment.join(format!("lib/python3.{number}/site-packages")))
            .expect("a directory");
    }
    let ended = run(place.epcache(["refresh", "--venv", environment.to_str().expect("UTF-8")]));
    assert_eq!((ended.status, ended.out.lines().count()), (Some(0), 64), "{ended:?}");
    assert!(ended.out.contains("/python3.163/") && !ended.out.contains("/python3.164/"), "{ended:?}");
}

/// 192 MiB are three times what an index holds of entry points and names.
#[test]
fn hostile_distributions_take_a_bounded_amount_of_memory() {
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let site = place.path().join("site");
    install(&site, "foo");
    let entries = "[g]\n".to_owned() + &"=\n".repeat(10_000);
    let groups: String = (0..9_000).map(|number| format!("[g{number}]\nn=a\n")).collect();
    let files: String = (0..5_000).map(|number| format!("m{number:04}.py,,\n")).collect();
    let long = format!("[{}]\n", "g".repeat(500_000)) + &"=\n".repeat(200_000);
    let name = format!("Name: {}\nVersion: 1\n", "x".repeat(8_000_000));
    let content =
        [("entry_points.txt", &entries, 30), ("entry_points.txt", &groups, 10), ("RECORD", &files, 5)];
    let content = content.into_iter().chain([("entry_points.txt", &long, 1), ("METADATA", &name, 1)]);
    let mut count = 1;
    for (kind, (file, text, copies)) in content.enumerate() {
        for number in 0..copies {
            fs::write(install(&site, &format!("odd{kind}_{number}")).join(file), text).expect("room");
            count += 1;
        }
    }
    for time in ["once", "again"] {
        let refresh = "ulimit -v 200000 && exec \"$0\" refresh \"$1\"";
        let ended = run(Command::new("sh").args(["-c", refresh, env!("CARGO_BIN_EXE_epcache")]).arg(&site));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let added = if time == "once" { count } else { 0 };
        assert!(ended.out.contains(&format!(": {added} added, 0 updated, 0 removed")), "{ended:?}");
    }
    let index = fs::read(site.join(".epcache/index")).expect("an index");
    assert!(index.len() < 32 << 20, "{}", index.len());
    let listed =
        run(Command::new(env!("CARGO_BIN_EXE_epcache")).args(["list", "--name", "foo", "--site"]).arg(&site));
    assert!(listed.out.contains("foo = m:f (foo 1"), "{}", listed.out);
}

#[test]
fn links_are_not_followed_into_an_index() {
    let target = tempfile::NamedTempFile::new().expect("a file");
    fs::write(target.path(), "Name: secret\n[secret]\nsecret = secret\n").expect("room");
    for name in ["METADATA", "entry_points.txt"] {
        let ended = with_something_odd(|site| {
            let directory = install(site, "odd");
            fs::remove_file(directory.join(name)).expect("our own file");
            symlink(target.path(), directory.join(name)).expect("a link");
        });
        assert!(ended.err.contains(&format!("odd-1.dist-info: {name}: a symbolic link")), "{ended:?}");
    }
    let ended =
        with_something_odd(|site| symlink("odd-1.dist-info", site.join("odd-1.dist-info")).expect("a link"));
    assert!(ended.err.contains("odd-1.dist-info: a symbolic link"), "{ended:?}");
}

#[test]
fn a_malformed_file_is_reported() {
    let ended = with_something_odd(|site| {
        fs::write(install(site, "odd").join("entry_points.txt"), "[g]\nnonsense\n").expect("room");
    });
    assert!(ended.err.contains("odd-1.dist-info: entry_points.txt: a line is neither"), "{ended:?}");
    let ended = with_something_odd(|site| {
        fs::write(install(site, "odd").join("METADATA"), b"Name: \xff\n").expect("room");
    });
    assert!(ended.err.contains("odd-1.dist-info: METADATA: not UTF-8"), "{ended:?}");
}

#[test]
fn an_unreadable_distribution_is_reported_and_the_rest_is_indexed() {
    let place = Place::new();
    let site = place.directory("site");
    let mut paths = vec![site.clone()];
    for name in ["foo", "metadata", "entries", "whole"] {
        let directory = install(&site, name);
        paths.extend([directory.join("METADATA"), directory.join("entry_points.txt"), directory]);
    }
    paths.iter().for_each(|path| give_away(path));
    let lock = |path: &str| {
        fs::set_permissions(site.join(path), fs::Permissions::from_mode(0o000)).expect("root's or ours")
    };
    lock("metadata-1.dist-info/METADATA");
    lock("entries-1.dist-info/entry_points.txt");
    lock("whole-1.dist-info");
    let ended = run(place.epcache_as_untrusted_user(["refresh".as_ref(), site.as_os_str()]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for what in
        ["metadata-1.dist-info: METADATA: ", "entries-1.dist-info: entry_points.txt: ", "whole-1.dist-info: "]
    {
        assert!(
            ended.err.contains(&format!("{}/{what}Permission denied", site.display())),
            "{what}: {ended:?}"
        );
    }
    assert_eq!(indexed(&site.join(".epcache/index")).len(), 4);
    let listed = run(place.epcache_as_untrusted_user([
        "list".as_ref(),
        "--json".as_ref(),
        "--site".as_ref(),
        site.as_os_str(),
    ]));
    for (name, there) in [("foo", true), ("metadata", true), ("entries", false), ("whole", false)] {
        assert_eq!(listed.out.contains(&format!("\"name\":\"{name}\"")), there, "{listed:?}");
    }
    fs::set_permissions(site.join("whole-1.dist-info"), fs::Permissions::from_mode(0o755))
        .expect("root's or ours");
}

#[test]
fn a_distribution_that_becomes_readable_is_read_although_its_directory_is_unchanged() {
    if skipped_without_root("a trigger works as another user") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    let file = install(&tree.site, "foo").join("entry_points.txt");
    tree.configure("site-directories = [\"/usr/lib/python3/dist-packages\"]\n");
    let allow = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("root's");
    let triggered = || {
        let mut command = place.epcache(["trigger", "dpkg", "--json"]);
        let ended = run(command.env("DPKG_ROOT", &tree.root));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        (ended, fs::read_to_string(&tree.index).expect("an index").contains("\nopaque\t0\n"))
    };
    allow(0o600);
    let (first, opaque) = triggered();
    assert!(
        opaque && first.err.contains("foo-1.dist-info: entry_points.txt: Permission denied"),
        "{first:?}"
    );
    let (again, opaque) = triggered();
    // It is known already, and reported once.
    assert!(opaque && again.err.is_empty() && again.out.contains("\"carried\":1"), "{again:?}");
    allow(0o644);
    let (last, opaque) = triggered();
    assert!(!opaque && last.err.is_empty(), "{last:?}");
    assert_eq!(names(&last.out, "updated"), ["foo-1.dist-info"]);
}

#[test]
fn a_site_directory_that_may_not_be_searched_has_no_index() {
    for mode in [0o000, 0o444, 0o333] {
        let place = Place::new();
        let site = place.directory("site");
        install(&site, "foo");
        give_away(&site);
        let refresh = || run(place.epcache_as_untrusted_user(["refresh".as_ref(), site.as_os_str()]));
        assert_eq!(refresh().status, Some(0));
        fs::set_permissions(&site, fs::Permissions::from_mode(mode)).expect("root's or ours");
        let ended = refresh();
        fs::set_permissions(&site, fs::Permissions::from_mode(0o755)).expect("root's or ours");
        assert_eq!(ended.status, Some(3), "{mode:o}: {ended:?}");
        assert!(ended.err.contains(&format!("error: {}", site.display())), "{mode:o}: {ended:?}");
        // An existing index is either right or seen to be stale.
        let ended = run(place.epcache_as_untrusted_user(["status".as_ref(), site.as_os_str()]));
        assert!(!ended.out.contains("0 distributions"), "{mode:o}: {ended:?}");
    }
}

#[test]
fn a_site_directory_that_others_may_list_but_not_search_has_no_index() {
    if skipped_without_root("have a directory that another user may not search") {
        return;
    }
    let place = Place::new();
    let (site, cache) = (place.directory("site"), place.directory("cache"));
    install(&site, "foo");
    give_away(&cache);
    fs::set_permissions(&site, fs::Permissions::from_mode(0o744)).expect("ours");
    let ended = run(place.epcache_as_untrusted_user(["refresh"]).arg(&site).env("XDG_CACHE_HOME", &cache));
    assert!(ended.status == Some(3) && ended.err.contains("Permission denied"), "{ended:?}");
}
