//! `epcache trigger` never fails a package transaction, unless it is called in a wrong way.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::fs::FlockOperation;

use super::privileges::at_work;
use crate::support::program::{Ended, Place, give_away, run, skipped_without_root, wait};
use crate::support::tree::{CACHE_USER, Tree, everything_below, indexed, install, names, text};

fn trigger(place: &Place, tree: &Tree) -> Ended {
    let ended = run(place.epcache(["trigger", "dpkg", "--json"]).env("DPKG_ROOT", &tree.root));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}

#[test]
fn a_trigger_with_right_arguments_exits_with_0_and_prints_nothing() {
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    for arguments in [&["dpkg"][..], &["dpkg", "/usr/lib/python3/dist-packages"], &["dpkg", ""]] {
        let ended = run(place.epcache(["trigger"]).args(arguments).env("DPKG_ROOT", &tree.root));
        assert_eq!((ended.status, ended.out.as_str()), (Some(0), ""), "{arguments:?}: {ended:?}");
        assert!(ended.err.is_empty() || !crate::support::program::is_root(), "{arguments:?}: {ended:?}");
    }
    let ended = run(place.epcache(["trigger", "--help"]));
    assert!(ended.status == Some(0) && ended.out.contains("Usage: epcache trigger"), "{ended:?}");
}

#[test]
fn a_trigger_with_wrong_arguments_makes_indexes_stale_and_exits_with_2() {
    if skipped_without_root("run a trigger") {
        return;
    }
    for arguments in [
        &[][..],
        &["dpkgg"],
        &["dpkg", "--full"],
        &["--nonsense"],
        &["dpkg", "--before", "--json"],
        &["", ""],
    ] {
        let place = Place::new();
        let tree = Tree::new(&place);
        install(&tree.site, "foo");
        trigger(&place, &tree);
        let before = fs::metadata(&tree.site).expect("it is there").modified().expect("a time");
        std::thread::sleep(Duration::from_millis(30));
        let ended = run(place.epcache(["trigger"]).args(arguments).env("DPKG_ROOT", &tree.root));
        assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains("Usage: epcache trigger") || ended.err.contains("--help"), "{ended:?}");
        assert!(ended.err.contains("wrong arguments of a trigger"), "{ended:?}");
        let line = format!("{}: its index could not be refreshed, and was made stale", tree.site.display());
        assert!(ended.err.contains(&line), "{ended:?}");
        assert!(fs::metadata(&tree.site).expect("it is there").modified().expect("a time") > before);
    }
}

#[test]
fn a_directory_that_is_not_roots_gets_no_index_of_the_system() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    trigger(&place, &tree);
    assert!(tree.index.exists());
    give_away(&tree.site);
    // A trigger warns in the journal alone.
    trigger(&place, &tree);
    assert!(!tree.index.exists(), "it is pruned");
    let ended = run(place.epcache(["refresh", "--system", "--root"]).arg(&tree.root));
    assert!(ended.err.contains("belongs to the untrusted uid"), "{ended:?}");
    assert!(!tree.index.exists());
    assert!(!tree.site.join(".epcache").exists());
}

#[test]
fn before_a_change_indexes_become_stale_without_a_word() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    let foo = install(&tree.site, "foo");
    let before = || {
        let ended = run(place.epcache(["trigger", "dpkg", "--before"]).env("DPKG_ROOT", &tree.root));
        assert_eq!((ended.status, ended.out.as_str(), ended.err.as_str()), (Some(0), "", ""), "{ended:?}");
    };
    let status = || run(place.epcache(["status", "--system", "--root"]).arg(&tree.root)).status;
    // Where there is no index, nothing has to be done.
    let untouched = everything_below(&tree.root);
    before();
    assert_eq!(everything_below(&tree.root), untouched);

    trigger(&place, &tree);
    assert_eq!(status(), Some(0));
    let index = fs::read(&tree.index).expect("an index");
    std::thread::sleep(Duration::from_millis(30));
    before();
    assert_eq!(fs::read(&tree.index).expect("an index"), index, "it is neither written nor removed");
    assert_eq!(status(), Some(1));

    let file = foo.join("entry_points.txt");
    fs::remove_file(&file).expect("ours");
    fs::write(&file, "[g]\nfoo = m:g\n").expect("room");
    assert_eq!(status(), Some(1));
    assert_eq!(names(&trigger(&place, &tree).out, "updated"), ["foo-1.dist-info"]);
    assert_eq!(status(), Some(0));
}

/// The command `epcache trigger ARGUMENTS` of package managers that always work on the running system, run where
/// that looks like the tree. Ends with 99 where nothing can be mounted.
fn trigger_in_place(tree: &Tree, arguments: &[&str]) -> Command {
    let script =
        "mount --bind etc /etc && mount --bind var/cache /var/cache || exit 99; exec \"$0\" trigger \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_epcache")]).args(arguments);
    command.current_dir(&tree.root).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_list_of_files_is_read_as_rpm_and_pacman_write_it() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    tree.configure(&format!("site-directories = ['{}']\n", text(&tree.site)));
    let foo = install(&tree.site, "foo");
    install(&tree.site, "bar");
    let site = text(&tree.site);
    let relative = site.trim_start_matches('/');
    let both = &["bar-1.dist-info", "foo-1.dist-info"][..];
    let one = &["foo-1.dist-info"][..];
    for (manager, list, read) in [
        ("rpm", String::new(), both),
        ("rpm", String::new(), &[]),
        ("rpm", format!("{site}/foo-1.dist-info/METADATA\n"), one),
        ("pacman", format!("{relative}/\n{relative}/foo-1.dist-info/\n{relative}/foo/\n"), one),
        ("pacman", String::new(), &[]),
        // apk and dpkg write none.
        ("apk", format!("{site}/foo-1.dist-info/METADATA\n"), &[]),
    ] {
        // In such a way that only a list of files shows it.
        fs::write(foo.join("entry_points.txt"), "[g]\nfoo = m:f\n").expect("room");
        let start = Instant::now();
        let mut child = trigger_in_place(&tree, &[manager, "--json"]).spawn().expect("unshare of util-linux");
        // It may end before it has read everything.
        let _ = child.stdin.take().expect("a pipe").write_all(list.as_bytes());
        let ended = wait(child, start);
        if ended.status == Some(99) {
            eprintln!("skipped: no right to mount: {ended:?}");
            return;
        }
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(names(&ended.out, "read"), read, "{manager}: {ended:?}");
    }
}

#[test]
fn a_trigger_without_root_does_nothing() {
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let before = everything_below(&tree.root);
    let right = [&["rpm"][..], &["dpkg", "x"], &["pacman"], &["dpkg", "--before"], &["apk", "/usr/lib"]];
    for (arguments, status) in
        right.map(|arguments| (arguments, 0)).into_iter().chain([(&["nonsense"][..], 2)])
    {
        let ended =
            run(place.epcache_as_untrusted_user(["trigger"]).args(arguments).env("DPKG_ROOT", &tree.root));
        assert_eq!(ended.status, Some(status), "{arguments:?}: {ended:?}");
        assert!(!ended.err.is_empty(), "{arguments:?}: {ended:?}");
    }
    assert_eq!(everything_below(&tree.root), before);
}

#[test]
fn without_a_usable_user_nothing_is_written() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let line = |ids: &str| format!("root:x:0:0::/:\nepcache:x:{ids}::/:/usr/sbin/nologin\n");
    for (passwd, why) in [
        (Some("root:x:0:0::/:\n".to_owned()), "no user epcache"),
        (Some(line("0:0")), "has the rights of root"),
        (Some(line("7:0")), "has the rights of root"),
        (Some(line("7:7").replace("/usr/sbin/nologin", "/bin/bash")), "can log in (/bin/bash)"),
        (Some(line("7:7").replace("/usr/sbin/nologin", "")), "can log in (/bin/sh)"),
        (Some(line("x:y")), "no user epcache"),
        (Some("epcache\n".to_owned()), "no user epcache"),
        (None, "no user epcache"),
    ] {
        let path = tree.root.join("etc/passwd");
        match passwd {
            Some(text) => fs::write(path, text).expect("room"),
            None => fs::remove_file(path).expect("ours"),
        }
        let before = everything_below(&tree.root);
        let ended = trigger(&place, &tree);
        assert!(ended.err.contains(why), "{ended:?}");
        assert_eq!(everything_below(&tree.root), before);
        let ended = run(place.epcache(["refresh", "--system", "--root"]).arg(&tree.root));
        assert!(ended.status == Some(3) && ended.err.contains(why), "{ended:?}");
        assert_eq!(everything_below(&tree.root), before);
        // To list distributions, no cache user is needed.
        let ended = run(place.epcache(["list", "--json", "--system", "--root"]).arg(&tree.root));
        let listed = ended.out.contains("\"distribution\":\"foo\"");
        assert!(listed == (why == "no user epcache"), "{ended:?}");
    }
}

#[test]
fn a_missing_or_broken_system_root_is_not_a_failure() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let ended = run(place.epcache(["trigger", "dpkg"]).env("DPKG_ROOT", place.path().join("missing")));
    assert!(ended.status == Some(0) && ended.err.contains("missing"), "{ended:?}");
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    tree.configure("nonsense = [\n");
    let ended = trigger(&place, &tree);
    assert!(
        ended.err.contains("config.toml:") && ended.err.contains("the defaults are used instead"),
        "{ended:?}"
    );
    assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
}

#[test]
fn only_changed_distributions_are_read_and_the_index_belongs_to_the_cache_user() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    ["a", "b", "c"].iter().for_each(|name| drop(install(&tree.site, name)));
    let ended = trigger(&place, &tree);
    assert_eq!(names(&ended.out, "added").len(), 3, "{ended:?}");
    assert_eq!(names(&trigger(&place, &tree).out, "read"), Vec::<String>::new());
    // As a release-only upgrade does: a new file over the old one, and nothing else.
    let file = tree.site.join("b-1.dist-info/entry_points.txt");
    fs::write(file.with_extension("dpkg-new"), "[g]\nb = m:g\n").expect("room");
    fs::rename(file.with_extension("dpkg-new"), &file).expect("a rename");
    let ended = trigger(&place, &tree);
    assert_eq!(names(&ended.out, "read"), ["b-1.dist-info"], "{ended:?}");
    assert_eq!(names(&ended.out, "updated"), ["b-1.dist-info"], "{ended:?}");
    let meta = fs::metadata(&tree.index).expect("an index");
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (CACHE_USER, CACHE_USER, 0o644));
    // Who can open the lock can hold it.
    let lock = tree.index.with_file_name("lock");
    assert_eq!(fs::metadata(&lock).expect("a lock").mode() & 0o7777, 0o600);
    fs::set_permissions(&lock, Permissions::from_mode(0o644)).expect("root may");
    trigger(&place, &tree);
    assert_eq!(fs::metadata(&lock).expect("a lock").mode() & 0o7777, 0o600);
    let directory = fs::metadata(tree.index.parent().expect("a directory")).expect("it is there");
    assert_eq!((directory.uid(), directory.mode() & 0o7777), (CACHE_USER, 0o755));
    assert!(ended.out.contains("\"settled\":true"), "{ended:?}");
}

#[test]
fn a_refresh_right_after_it_leaves_the_index_settled() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    trigger(&place, &tree);
    let index = fs::read(&tree.index).expect("an index");
    let ended = run(place.epcache(["refresh", "--no-seal", "--json", "--system", "--root"]).arg(&tree.root));
    assert!(ended.out.contains("\"settled\":true"), "{ended:?}");
    assert_eq!(fs::read(&tree.index).expect("an index"), index);
}

#[test]
fn an_index_that_can_not_be_updated_is_not_used() {
    if skipped_without_root("run a trigger") {
        return;
    }
    type Break = fn(&Tree);
    let ways: [(&str, Break); 4] = [
        ("the cache directory is root's", |tree| {
            std::os::unix::fs::chown(tree.root.join("var/cache/epcache"), Some(0), Some(0))
                .expect("root may");
        }),
        ("the directory of the index may be written by others", |tree| {
            let directory = tree.index.parent().expect("a directory");
            fs::set_permissions(directory, Permissions::from_mode(0o777)).expect("root may");
        }),
        ("the user is gone", |tree| {
            fs::write(tree.root.join("etc/passwd"), "root:x:0:0::/:\n").expect("room")
        }),
        ("the site directory may not be read", |tree| {
            fs::set_permissions(&tree.site, Permissions::from_mode(0o700)).expect("root may");
        }),
    ];
    for (way, break_it) in ways {
        let place = Place::new();
        let tree = Tree::new(&place);
        install(&tree.site, "foo");
        assert_eq!(names(&trigger(&place, &tree).out, "added"), ["foo-1.dist-info"]);
        // In such a way that the stamp of the site directory itself stays the same.
        let file = tree.site.join("foo-1.dist-info/entry_points.txt");
        fs::write(&file, "[g]\nfoo = m:other\n").expect("room");
        break_it(&tree);
        let ended = trigger(&place, &tree);
        assert!(ended.err.contains("error: "), "{way}: {ended:?}");
        let Ok(bytes) = fs::read(&tree.index) else { continue };
        let Ok(index) = epcache::index::parse(&bytes) else { continue };
        assert_ne!(index.site.ctime, ctime(&tree.site), "{way}: readers would use the old index");
    }
}

#[test]
fn the_index_of_the_system_has_nothing_that_only_root_may_read() {
    if skipped_without_root("run a trigger") {
        return;
    }
    for (entry_points, directory) in [(0o644, 0o755), (0o600, 0o755), (0o644, 0o700)] {
        let place = Place::new();
        let tree = Tree::new(&place);
        let private = install(&tree.site, "private");
        let file = private.join("entry_points.txt");
        fs::write(&file, "[g]\nsecret = m:f\n").expect("room");
        fs::set_permissions(&file, Permissions::from_mode(entry_points)).expect("root may");
        fs::set_permissions(&private, Permissions::from_mode(directory)).expect("root may");
        trigger(&place, &tree);
        let index = fs::read_to_string(&tree.index).expect("an index");
        let is_public = (entry_points, directory) == (0o644, 0o755);
        assert_eq!(index.contains("secret"), is_public, "{entry_points:o} {directory:o}: {index}");
    }
}

/// The change time of a directory in ns, as an index records it.
fn ctime(directory: &Path) -> i64 {
    let meta = fs::metadata(directory).expect("it is there");
    meta.ctime() * 1_000_000_000 + meta.ctime_nsec()
}

#[test]
fn a_stopped_child_does_not_hold_a_transaction() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    tree.configure("trigger-timeout = 1\n");
    install(&tree.site, "foo");
    trigger(&place, &tree);
    // In such a way that the site directory's own stamp stays the same.
    fs::write(tree.site.join("foo-1.dist-info/entry_points.txt"), "[g]\nfoo = m:other\n").expect("room");
    let lock = File::options().write(true).open(tree.index.with_file_name("lock")).expect("a lock");
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).expect("a lock");
    let start = Instant::now();
    let mut command = place.epcache(["trigger", "dpkg"]);
    command.env("DPKG_ROOT", &tree.root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("epcache starts");
    let worker = at_work(&mut child);
    let number = worker.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
    nix::sys::signal::kill(Pid::from_raw(number), Signal::SIGSTOP).expect("root may");
    let ended = wait(child, start);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.took < Duration::from_secs(10), "{ended:?}");
    assert!(ended.err.contains("did not end within 1 s, and was killed"), "{ended:?}");
    assert!(!worker.exists(), "{ended:?}");
    let bytes = fs::read(&tree.index).expect("the old index");
    let index = epcache::index::parse(&bytes).expect("an intact index");
    assert_ne!(index.site.ctime, ctime(&tree.site), "readers would use the old index");
}

#[test]
fn a_list_of_files_without_an_end_is_skipped() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    tree.configure(&format!("site-directories = ['{}']\ntrigger-timeout = 12\n", text(&tree.site)));
    let start = Instant::now();
    let mut child = trigger_in_place(&tree, &["rpm"]).spawn().expect("unshare of util-linux");
    let list = child.stdin.take();
    let ended = wait(child, start);
    drop(list);
    if ended.status == Some(99) {
        eprintln!("skipped: no right to mount: {ended:?}");
        return;
    }
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.err.contains("can't read the list of files: it did not end within 1 s"), "{ended:?}");
    let below = tree.site.strip_prefix("/").expect("an absolute path");
    let index = tree.root.join("var/cache/epcache").join(below).join("index");
    assert_eq!(indexed(&index), ["foo-1.dist-info"], "{ended:?}");
}

#[test]
fn the_index_of_a_directory_removed_from_the_configuration_is_removed() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let other = place.directory("tree/opt/index/site-packages");
    install(&other, "bar");
    let index = tree.root.join("var/cache/epcache/opt/index/site-packages/index");
    let usual = "\"/usr/lib/python3/dist-packages\"";
    tree.configure(&format!("site-directories = [{usual}, \"/opt/*/site-packages\"]\n"));
    trigger(&place, &tree);
    assert_eq!(indexed(&index), ["bar-1.dist-info"]);
    tree.configure(&format!("site-directories = [{usual}]\n"));
    // From now on no trigger would report a package that is rebuilt there.
    trigger(&place, &tree);
    assert!(!index.exists());
    assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
}

#[test]
fn when_the_last_site_directory_is_gone_its_index_goes_too() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    trigger(&place, &tree);
    assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
    fs::remove_dir_all(&tree.site).unwrap();
    let ended = trigger(&place, &tree);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
    assert!(!tree.index.exists());
}

#[test]
fn a_directory_that_can_only_be_listed_is_not_taken_for_an_empty_one() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    trigger(&place, &tree);
    fs::set_permissions(&tree.site, Permissions::from_mode(0o744)).expect("ours");
    let ended = trigger(&place, &tree);
    assert!(ended.err.contains("Permission denied"), "{ended:?}");
    assert!(!tree.index.exists());
    fs::set_permissions(&tree.site, Permissions::from_mode(0o755)).expect("ours");
    trigger(&place, &tree);
    assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
}

#[test]
fn a_link_out_of_the_tree_is_not_followed() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    let outside = place.directory("outside");
    install(&outside, "foo");
    fs::remove_dir(&tree.site).expect("ours");
    symlink(&outside, &tree.site).expect("a link");
    let before = everything_below(place.path());
    trigger(&place, &tree);
    let ended = run(place.epcache(["refresh", "/usr/lib/python3/dist-packages", "--root"]).arg(&tree.root));
    assert!(ended.status == Some(3) && ended.err.contains("which does not exist below"), "{ended:?}");
    assert_eq!(everything_below(place.path()), before);
}

#[test]
fn links_to_the_user_database_and_configuration_of_a_tree_are_not_followed() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let outside = place.directory("outside");
    let passwd = tree.root.join("etc/passwd");
    fs::rename(&passwd, outside.join("passwd")).expect("ours");
    symlink(outside.join("passwd"), &passwd).expect("a link");
    let ended = trigger(&place, &tree);
    assert!(ended.status == Some(0) && ended.err.contains("which does not exist below"), "{ended:?}");
    assert!(!tree.index.exists());

    fs::remove_file(&passwd).expect("ours");
    fs::rename(outside.join("passwd"), &passwd).expect("ours");
    let configuration = tree.configure("");
    fs::write(outside.join("config.toml"), "site-directories = []").expect("room");
    fs::remove_file(&configuration).expect("ours");
    symlink(outside.join("config.toml"), &configuration).expect("a link");
    let ended = run(place.epcache(["refresh", "--system", "--root"]).arg(&tree.root));
    assert!(ended.status == Some(3) && ended.err.contains("which does not exist below"), "{ended:?}");
}

#[test]
fn a_system_wide_directory_may_be_configured_by_a_link_to_it() {
    if skipped_without_root("write a system-wide index") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    symlink("python3/dist-packages", tree.root.join("usr/lib/packages")).expect("a link");
    tree.configure("site-directories = ['/usr/lib/pack*']");
    let ended = run(place.epcache(["refresh", "--system", "--root"]).arg(&tree.root));
    assert!(ended.status == Some(0) && tree.index.exists(), "{ended:?}");
}

#[test]
fn a_hostile_caller_environment_has_no_effect() {
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let script = "umask 077; exec 7<\"$0\"; exec env --block-signal=INT,TERM --ignore-signal=HUP,QUIT,CHLD \
                  PATH=/nowhere LD_LIBRARY_PATH=/nowhere PYTHONPATH=/nowhere HOME= TMPDIR=/nowhere \
                  RUST_BACKTRACE=full XDG_CACHE_HOME=/nowhere \"$0\" trigger dpkg --json x";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_epcache")]).env("DPKG_ROOT", &tree.root);
    let ended = run(shell);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(names(&ended.out, "added"), ["foo-1.dist-info"], "{ended:?}");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").mode() & 0o7777;
    assert_eq!(mode(&tree.index), 0o644);
    for directory in tree.index.ancestors().skip(1).take(4) {
        assert_eq!(mode(directory), 0o755, "{}", directory.display());
    }
}

#[test]
fn any_list_of_files_is_accepted() {
    // Not as root: this must not touch the system that runs the tests.
    let place = Place::new();
    for list in [&b""[..], b"\n\n", b"\xff\xfe\0", &[b'x'; 1 << 18]] {
        let start = Instant::now();
        let mut child = place
            .epcache_as_untrusted_user(["trigger", "rpm"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("epcache starts");
        // It may end before it has read everything.
        let _ = child.stdin.take().expect("a pipe").write_all(list);
        assert_eq!(wait(child, start).status, Some(0));
    }
}

#[test]
fn a_trigger_reads_a_bounded_part_of_a_cache_full_of_directories() {
    const DIRECTORIES: usize = 4000;
    if skipped_without_root("run a trigger") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let full = place.directory("tree/var/cache/epcache/full");
    for number in 0..DIRECTORIES {
        let directory = full.join(number.to_string());
        fs::create_dir(&directory).expect("a directory");
        fs::write(directory.join("index"), "").expect("room");
    }
    for path in everything_below(&tree.root.join("var/cache/epcache")).into_keys() {
        std::os::unix::fs::chown(path, Some(CACHE_USER), Some(CACHE_USER)).expect("root may");
    }
    let ended = trigger(&place, &tree);
    assert!(ended.status == Some(0) && ended.err.is_empty(), "{ended:?}");
    assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
    let left = (0..DIRECTORIES).filter(|number| full.join(number.to_string()).join("index").exists()).count();
    assert!(left > 0 && left < DIRECTORIES, "{left}");
}
