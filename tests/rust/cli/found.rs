//! How directories and programs are found: no untrusted user decides where a path leads, and no program of
//! others is run for root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::program::{Ended, Place, UNTRUSTED_UID, is_root, run, skipped_without_root};
use crate::support::tree::{Tree, everything_below, indexed, install};

/// Another user without privileges.
const VICTIM: u32 = 54322;
const SITE: &str = "lib/python3.13/site-packages";

/// Gives a path and everything below it to a user.
fn give(path: &Path, owner: u32) {
    if is_root() {
        for path in everything_below(path).into_keys() {
            lchown(path, Some(owner), Some(owner)).expect("root may do that");
        }
    }
}

fn link(target: impl AsRef<Path>, at: &Path, owner: u32) {
    symlink(target, at).expect("a link");
    lchown(at, Some(owner), Some(owner)).expect("root may do that");
}

/// The site directory of a new environment of `owner`.
fn environment(place: &Place, name: &str, owner: u32) -> PathBuf {
    let site = place.directory(&format!("{name}/{SITE}"));
    install(&site, "foo");
    give(&place.path().join(name), owner);
    site
}

/// Writes a shell script, as another process: see `Place::epcache_as_untrusted_user`.
fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    let write = "printf '#!/bin/sh\n%s\n' \"$1\" >\"$0\"; chmod 755 \"$0\"";
    let written = Command::new("sh").args(["-c", write]).arg(path).arg(text).status();
    assert!(written.expect("a shell").success());
}

/// Fails unless the command failed with a message about `path`; returns the hint.
fn refused(ended: &Ended, path: &Path, why: &str) -> String {
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let (error, hint) = ended.err.trim_end().split_once("; hint: ").unwrap_or_else(|| panic!("{ended:?}"));
    assert_eq!(error, format!("epcache: error: {}: {why}", path.display()));
    hint.to_owned()
}

fn with_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn root_follows_no_link_of_an_untrusted_user_to_what_is_another_s() {
    if skipped_without_root("be the victim") {
        return;
    }
    for owner in [0, VICTIM] {
        for at in ["venv", "venv/lib", "venv/lib/python3.13", "venv/lib/python3.13/site-packages"] {
            let place = Place::new();
            let end = environment(&place, "other", owner);
            let (venv, at) = (place.path().join("venv"), place.path().join(at));
            fs::create_dir_all(at.parent().expect("a directory")).expect("a directory");
            if venv.exists() {
                give(&venv, UNTRUSTED_UID);
            }
            let target = place.path().join("other").join(at.strip_prefix(&venv).expect("below"));
            link(target, &at, UNTRUSTED_UID);
            let before = everything_below(&place.path().join("other"));
            let site = venv.join(SITE);
            let why = format!("a link of the untrusted uid {UNTRUSTED_UID}, which is not followed");
            for arguments in [&["refresh"][..], &["list", "--site"], &["status"], &["verify"]] {
                let hint = refused(&run(place.epcache(arguments).arg(&site)), &at, &why);
                assert!(hint.ends_with(&format!(": {}", end.display())), "{hint}");
            }
            refused(&run(place.epcache(["refresh", "--venv"]).arg(&venv)), &at, &why);
            refused(&run(place.epcache(["refresh"]).env("VIRTUAL_ENV", &venv)), &at, &why);
            assert_eq!(everything_below(&place.path().join("other")), before);
            // What the hint says helps.
            assert_eq!(run(place.epcache(["refresh"]).arg(end)).status, Some(0));
        }
    }
}

#[test]
fn links_of_root_and_of_the_owner_are_followed() {
    for owner in [0, UNTRUSTED_UID] {
        if owner != 0 && skipped_without_root("work for another user") {
            return;
        }
        let place = Place::new();
        let site = environment(&place, "venv", owner);
        let (venv, short) = (place.path().join("venv"), place.path().join("short"));
        link("lib", &venv.join("lib64"), if is_root() { owner } else { nix::unistd::getuid().as_raw() });
        symlink("venv", &short).expect("a link");
        let ended = run(place.epcache(["refresh", "--json", "--venv"]).arg(&short));
        assert!(ended.status == Some(0) && ended.out.lines().count() == 1, "{ended:?}");
        assert_eq!(indexed(&site.join(".epcache/index")), ["foo-1.dist-info"]);
    }
}

#[test]
fn what_is_found_in_an_environment_lies_below_it() {
    for at in ["lib", "lib64", "lib/python3.13"] {
        let place = Place::new();
        let end = place.directory("elsewhere/python3.13/site-packages");
        let elsewhere = place.path().join("elsewhere");
        let venv = place.directory("venv");
        let parent = place.path().join("venv").join(at);
        fs::create_dir_all(parent.parent().expect("a directory")).expect("a directory");
        let target = if at.contains('/') { "elsewhere/python3.13" } else { "elsewhere" };
        symlink(place.path().join(target), &parent).expect("a link");
        let ended = run(place.epcache(["refresh", "--venv"]).arg(&venv));
        let library = at.split('/').next().expect("a name");
        let (path, end) = if at == library { (venv.join(at), &elsewhere) } else { (venv.join(SITE), &end) };
        refused(&ended, &path, &format!("leads out of {} to {}", venv.display(), end.display()));
        assert_eq!(everything_below(&elsewhere).len(), 3);
    }
}

#[test]
fn a_directory_on_the_way_that_others_control_is_refused() {
    if skipped_without_root("be the victim") {
        return;
    }
    let place = Place::new();
    let site = environment(&place, "way/venv", VICTIM);
    let way = place.path().join("way");
    let refresh = || run(place.epcache(["refresh"]).arg(&site));
    lchown(&way, Some(UNTRUSTED_UID), None).expect("root may");
    let hint = refused(&refresh(), &way, &format!("belongs to the untrusted uid {UNTRUSTED_UID}"));
    assert_eq!(hint, format!("move {} to a directory of root or of its own owner", site.display()));
    for (owner, mode) in [(0, 0o1777), (0, 0o2775), (VICTIM, 0o700), (VICTIM, 0o775)] {
        lchown(&way, Some(owner), Some(50)).expect("root may");
        with_mode(&way, mode);
        assert_eq!(refresh().status, Some(0), "{owner} {mode:o}");
    }
    with_mode(&way, 0o777);
    let hint = refused(&refresh(), &way, "every user may write to it");
    // What the hint says helps.
    assert!(Command::new("sh").args(["-c", &hint]).status().expect("a shell").success());
    assert_eq!(refresh().status, Some(0));
}

#[test]
fn in_a_user_namespace_the_directories_of_root_outside_are_trusted() {
    if skipped_without_root("become another user") {
        return;
    }
    let place = Place::new();
    let site = environment(&place, "venv", UNTRUSTED_UID);
    let plain = place.epcache_as_untrusted_user(["refresh"]);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups", "unshare", "--user"]);
    for identity in ["--map-current-user", "--map-root-user"] {
        let mut probe = Command::new("setpriv");
        probe.args(["--reuid=54321", "--regid=54321", "--clear-groups", "unshare", "--user", identity]);
        if !probe.arg("true").status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: no user namespaces here");
            return;
        }
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups", "unshare", "--user"]);
    command.arg("--map-current-user").arg(plain.get_program()).arg("refresh").arg(&site);
    let ended = run(command.env("HOME", "/nonexistent"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(indexed(&site.join(".epcache/index")), ["foo-1.dist-info"]);
}

#[test]
fn a_pattern_of_the_configuration_finds_only_what_is_root_s_all_the_way() {
    if skipped_without_root("own a tree") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    tree.configure("site-directories = ['/opt/*/site']\n");
    let at = |name: &str| place.directory(&format!("tree/opt/{name}/site"));
    let good = at("good");
    for site in [&good, &at("parent"), &at("itself"), &at("open"), &place.directory("tree/target/site")] {
        install(site, "foo");
    }
    let opt = tree.root.join("opt");
    give(&opt.join("parent"), UNTRUSTED_UID);
    give(&opt.join("itself/site"), UNTRUSTED_UID);
    with_mode(&opt.join("open"), 0o777);
    link("../target", &opt.join("link"), UNTRUSTED_UID);
    let ended = run(place.epcache(["refresh", "--system", "--json", "--root"]).arg(&tree.root));
    assert!(ended.status == Some(0) && ended.out.lines().count() == 1, "{ended:?}");
    assert!(tree.root.join("var/cache/epcache/opt/good/site/index").exists(), "{ended:?}");
    for (skipped, offender) in
        [("parent", "parent"), ("itself", "itself/site"), ("open", "open"), ("link", "link")]
    {
        let start = format!("epcache: warning: /opt/{skipped}/site: skipped: {}/{offender}: ", opt.display());
        assert!(ended.err.lines().any(|line| line.starts_with(&start)), "{start}: {ended:?}");
    }
}

#[test]
fn root_runs_no_program_of_others() {
    if skipped_without_root("be the victim") {
        return;
    }
    let place = Place::new();
    let shown = place.directory("shown");
    let site = environment(&place, "venv", VICTIM);
    let (venv, marker) = (place.path().join("venv"), place.directory("marks").join("mark"));
    with_mode(marker.parent().expect("a directory"), 0o777);
    let python = venv.join("bin/python");
    script(&python, &format!("id >{}; printf %s {}", marker.display(), shown.display()));
    let ask = |program: &Path| run(place.epcache(["refresh", "--python"]).arg(program));
    let shares_library = venv.join("lib");
    // Root's, but for this directory; and whether the location decides as well.
    for (owners, done) in [("", true), ("bin", true), ("bin/python", true), (SITE, true), ("lib", false)] {
        give(&venv, 0);
        give(&venv.join(owners), VICTIM);
        if owners == "lib" {
            give(&site, 0);
        }
        let ended = ask(&python);
        assert!(!marker.exists(), "{owners}");
        assert_eq!(ended.status, Some(if done { 0 } else { 3 }), "{owners}: {ended:?}");
        let index = site.join(".epcache/index");
        assert!(!done || indexed(&index) == ["foo-1.dist-info"], "{owners}: {ended:?}");
        let _ = fs::remove_dir_all(site.join(".epcache"));
    }
    // Root's, but its group may write there.
    give(&venv, 0);
    with_mode(&shares_library, 0o2775);
    assert!(ask(&python).status == Some(0) && !marker.exists());
    with_mode(&shares_library, 0o755);
    // The path through an untrusted user's link to a directory of programs.
    give(&venv, VICTIM);
    let evil = place.directory("evil");
    give(&evil, UNTRUSTED_UID);
    link(venv.join("bin"), &evil.join("bin"), UNTRUSTED_UID);
    let why = format!("a link of the untrusted uid {UNTRUSTED_UID}, which is not followed");
    refused(&ask(&evil.join("bin/python")), &evil.join("bin"), &why);
    assert!(!marker.exists() && everything_below(&shown).len() == 1);
}

#[test]
fn root_asks_an_interpreter_of_its_own_as_nobody() {
    if skipped_without_root("run a program as nobody") {
        return;
    }
    let place = Place::new();
    let (prefix, outside) = (place.directory("prefix"), place.directory("outside"));
    let odd = place.directory("prefix/odd/site-packages");
    let text = format!(
        "[ $(id -u) = 65534 ] && [ $(id -g) = 65534 ] && printf '%s\\0%s' {} {}",
        odd.display(),
        outside.display()
    );
    let python = prefix.join("bin/python");
    script(&python, &text);
    let ended = run(place.epcache(["refresh", "--json", "--python"]).arg(&python));
    assert!(ended.status == Some(0) && ended.out.lines().count() == 1, "{ended:?}");
    assert!(odd.join(".epcache/index").exists(), "{ended:?}");
    assert_eq!(everything_below(&outside).len(), 1, "not below its prefix");
}

#[test]
fn a_caller_asks_an_interpreter_which_may_leave_nothing_running() {
    let place = Place::new();
    let odd = place.directory("prefix/odd/site-packages");
    give(place.path(), UNTRUSTED_UID);
    let (python, pid) = (place.path().join("prefix/bin/python"), place.path().join("pid"));
    script(
        &python,
        &format!("sleep 300 >/dev/null 2>&1 & echo $! >{}; printf {}", pid.display(), odd.display()),
    );
    let ended = run(place.epcache_as_untrusted_user(["refresh", "--python"]).arg(&python));
    assert!(ended.status == Some(0) && odd.join(".epcache/index").exists(), "{ended:?}");
    let process = Path::new("/proc").join(fs::read_to_string(pid).expect("a number").trim());
    let start = Instant::now();
    let is_running =
        || fs::read_to_string(process.join("status")).is_ok_and(|text| !text.contains("State:\tZ"));
    while is_running() {
        assert!(start.elapsed() < Duration::from_secs(10), "it still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    // A program that prints without an end, in a prefix that has a site directory.
    script(&python, "yes");
    let site = place.directory(&format!("prefix/{SITE}"));
    give(place.path(), UNTRUSTED_UID);
    let ended = run(place.epcache_as_untrusted_user(["refresh", "--python"]).arg(&python));
    assert!(ended.status == Some(0) && site.join(".epcache/index").exists(), "{ended:?}");
    fs::remove_dir_all(place.path().join("prefix/lib")).expect("ours");
    let ended = run(place.epcache_as_untrusted_user(["refresh", "--python"]).arg(&python));
    refused(&ended, &python, "no site directories found: it printed more than 64 KiB");
}

#[test]
fn the_place_of_an_interpreter_tells_its_version() {
    if skipped_without_root("own a tree") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    let other = place.directory("tree/usr/lib/python3.12/site-packages");
    let own = place.directory("tree/usr/lib64/python3.13/site-packages");
    let local = place.directory("tree/usr/local/lib/python3.13/dist-packages");
    script(&tree.root.join("usr/bin/python3.13"), "exit 1");
    symlink("python3.13", tree.root.join("usr/bin/python3")).expect("a link");
    let pypy = place.directory("tree/usr/local/lib/pypy3.11/dist-packages");
    script(&tree.root.join("usr/bin/pypy3.11"), "exit 1");
    symlink("pypy3.11", tree.root.join("usr/bin/pypy3")).expect("a link");
    symlink("usr/bin", tree.root.join("bin")).expect("a link");
    let cpython = vec![&local, &own, &tree.site];
    for (program, expected) in [
        ("/usr/bin/python3.13", cpython.clone()),
        ("/bin/python3", cpython),
        ("/usr/bin/pypy3", vec![&pypy, &tree.site]),
    ] {
        let ended = run(place.epcache(["status", "--python", program, "--root"]).arg(&tree.root));
        let lines: Vec<&str> =
            ended.out.lines().map(|line| line.split(": ").next().expect("a path")).collect();
        let expected = expected.into_iter().map(|path| path.to_str().expect("UTF-8"));
        assert_eq!(lines, expected.collect::<Vec<_>>(), "{ended:?}");
    }
    assert!(other.exists());
}

#[test]
fn run_takes_nothing_of_another_user_that_it_finds() {
    if skipped_without_root("be the victim") {
        return;
    }
    let place = Place::new();
    let project = place.directory("project");
    let deep = place.directory("project/deep");
    let site = environment(&place, "project/.venv", UNTRUSTED_UID);
    let index = site.join(".epcache/index");
    let refreshes = |sudo: Option<u32>| {
        let mut command = place.epcache(["run", "--", "true"]);
        command.current_dir(&deep).envs(sudo.map(|uid| ("SUDO_UID", uid.to_string())));
        let ended = run(command);
        assert_eq!((ended.status, &*ended.out, &*ended.err), (Some(0), "", ""));
        let done = index.exists();
        let _ = fs::remove_dir_all(site.join(".epcache"));
        done
    };
    assert!(!refreshes(None), "another user's");
    assert!(!refreshes(Some(VICTIM)), "a third user's");
    assert!(refreshes(Some(UNTRUSTED_UID)), "that of the user who called sudo");
    give(&project, 0);
    assert!(refreshes(None), "root's");
    // A directory in which others may put one ends the search.
    with_mode(&project, 0o1777);
    assert!(!refreshes(None), "everybody may write there");
    with_mode(&project, 0o755);
    lchown(&deep, Some(VICTIM), None).expect("root may");
    assert!(!refreshes(None), "below a directory of another user");
    assert!(refreshes(Some(VICTIM)), "below a directory of the user who called sudo");
}
