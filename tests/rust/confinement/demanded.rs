//! The reported state of the confinement, and the effect of requiring it.
#![allow(unsafe_code)]

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;

use super::kernel::has_everything;
use super::mask::Mask;
use crate::support::program::{Ended, Place, UNTRUSTED_UID, give_away, run, skipped_without_root};
use crate::support::tree::{Tree, account, become_user, everything_below, indexed, install, text};

const EVERY_MASK: [(Mask, [&str; 2]); 4] = [
    (Mask::Nothing, ["enforced", "enforced"]),
    (Mask::Landlock, ["missing", "enforced"]),
    (Mask::Seccomp, ["enforced", "missing"]),
    (Mask::Both, ["missing", "missing"]),
];

/// Runs the program on such a kernel.
pub fn on(mask: Mask, mut command: Command) -> Ended {
    // SAFETY: nothing of the parent is touched; memory is allocated, which the C library allows.
    unsafe { command.pre_exec(move || mask.put_on()) };
    run(command)
}

fn trigger(place: &Place, tree: &Tree) -> Command {
    let mut command = place.epcache(["trigger", "dpkg"]);
    command.env("DPKG_ROOT", &tree.root);
    command
}

#[test]
fn status_reports_how_processes_are_confined() {
    if skipped_without_root("mask what the kernel has") || !has_everything() {
        return;
    }
    let place = Place::new();
    for (mask, [landlock, seccomp]) in EVERY_MASK {
        let ended = on(mask, place.epcache(["status", "--sandbox", "--json"]));
        let output: Value = serde_json::from_str(&ended.out).expect("JSON");
        assert_eq!(ended.status, Some(i32::from(mask != Mask::Nothing)), "{ended:?}");
        let states = ["landlock", "seccomp", "limits", "groups"]
            .map(|part| output[part]["state"].as_str().expect("a text"));
        assert_eq!(states, [landlock, seccomp, "enforced", "enforced"], "{ended:?}");
        assert_eq!(output["required"], false);
        let ended = on(mask, place.epcache(["status", "--sandbox"]));
        let lines: Vec<_> = ended.out.lines().collect();
        let word = |state: &str| if state == "missing" { "not enforced" } else { "enforced" }.to_owned();
        assert_eq!(lines.len(), 4, "{ended:?}");
        assert!(lines[0].starts_with(&format!("landlock: {}: ", word(landlock))), "{ended:?}");
        assert!(lines[1].starts_with(&format!("seccomp: {}: ", word(seccomp))), "{ended:?}");
        assert_eq!(ended.err, "");
    }
}

#[test]
fn an_unprivileged_caller_sees_the_same_status() {
    if !has_everything() {
        return;
    }
    let place = Place::new();
    let ended = run(place.epcache_as_untrusted_user(["status", "--sandbox"]));
    assert_eq!((ended.status, ended.out.lines().count()), (Some(0), 4), "{ended:?}");
}

#[test]
fn nothing_is_indexed_on_a_kernel_whose_confinement_has_no_effect() {
    if skipped_without_root("mask what the kernel has") || !has_everything() {
        return;
    }
    for mask in [Mask::LyingLandlock, Mask::LyingSeccomp] {
        let place = Place::new();
        let tree = Tree::new(&place);
        install(&tree.site, "foo");
        let root = ["--root", text(&tree.root)];
        let ended = on(mask, place.epcache(["refresh", "--system"].iter().chain(&root)));
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert!(ended.err.contains("can't give up privileges: verifying"), "{ended:?}");
        assert!(!tree.index.exists());
        let ended = on(mask, place.epcache(["status", "--sandbox"]));
        assert!(ended.status == Some(3) && ended.err.contains("verifying"), "{ended:?}");
    }
}

#[test]
fn without_required_confinement_nothing_is_indexed() {
    if skipped_without_root("mask what the kernel has") || !has_everything() {
        return;
    }
    for (mask, _) in EVERY_MASK {
        let place = Place::new();
        let tree = Tree::new(&place);
        install(&tree.site, "foo");
        let ended = on(mask, trigger(&place, &tree));
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
        tree.configure("require-sandbox = true\n");
        install(&tree.site, "bar");
        let before = fs::metadata(&tree.site).expect("it is there").modified().expect("a time");
        std::thread::sleep(std::time::Duration::from_millis(30));
        let ended = on(mask, trigger(&place, &tree));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let after = fs::metadata(&tree.site).expect("it is there").modified().expect("a time");
        let root = ["--root", text(&tree.root)];
        if mask == Mask::Nothing {
            assert_eq!(indexed(&tree.index), ["bar-1.dist-info", "foo-1.dist-info"]);
            continue;
        }
        let message = "is not confined as require-sandbox demands: ";
        assert!(
            ended.err.contains(message) && ended.err.contains("hint: epcache status --sandbox"),
            "{ended:?}"
        );
        // The old index is there, and its directory has another mtime than recorded.
        assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
        assert!(after > before, "{ended:?}");
        for command in ["refresh", "status", "list", "verify"] {
            let ended = on(mask, place.epcache([command, "--system"].iter().chain(&root)));
            assert!(ended.status == Some(if command == "status" { 1 } else { 3 }), "{command}: {ended:?}");
            let output = ended.err + &ended.out;
            // The child's error is printed once, with its hint.
            let hint = "; hint: epcache status --sandbox\n";
            assert!(output.matches(message).count() == 1 && output.contains(hint), "{command}: {output}");
        }
        let ended = on(mask, place.epcache(["status", "--sandbox"].iter().chain(&root)));
        assert!(ended.out.contains("required: nothing is indexed"), "{ended:?}");
    }
}

#[test]
fn with_the_number_of_another_account_a_process_must_be_confined() {
    if skipped_without_root("mask what the kernel has") || !has_everything() {
        return;
    }
    let Some((name, uid)) = account(false) else { return };
    let groups = fs::read_to_string("/etc/group").expect("a group database");
    let Some(group) = groups.lines().find(|line| line.starts_with("tty:")) else { return };
    let gid = group.split(':').nth(2).and_then(|gid| gid.parse().ok()).expect("a gid");
    for ((user, group), owner) in
        [((uid, UNTRUSTED_UID), format!("user {name}")), ((UNTRUSTED_UID, gid), "group tty".to_owned())]
    {
        for (mask, _) in EVERY_MASK {
            let place = Place::new();
            let tree = Tree::new(&place);
            become_user(&tree, user, group);
            install(&tree.site, "foo");
            let root = ["--root", text(&tree.root)];
            let refreshed = on(mask, place.epcache(["refresh", "--no-seal", "--system"].iter().chain(&root)));
            let triggered = on(mask, trigger(&place, &tree));
            assert_eq!(triggered.status, Some(0), "{triggered:?}");
            if mask == Mask::Nothing {
                assert_eq!((refreshed.status, refreshed.err.as_str()), (Some(0), ""), "{refreshed:?}");
                assert_eq!(triggered.err, "");
                assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
                assert_eq!(fs::metadata(&tree.index).expect("an index").uid(), user);
                continue;
            }
            assert_eq!(refreshed.status, Some(3), "{refreshed:?}");
            let why =
                format!("has the uid or gid of the {owner} of the running system, but is not confined by ");
            let hint =
                format!("hint: if you trust its programs: chroot {} epcache refresh --system", root[1]);
            for ended in [&refreshed, &triggered] {
                assert!(ended.err.contains(&why) && ended.err.contains(&hint), "{ended:?}");
            }
            assert!(!tree.index.exists());
        }
    }
}

#[test]
fn a_tree_is_not_left_on_an_old_kernel() {
    if skipped_without_root("mask what the kernel has") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    on(Mask::Old, trigger(&place, &tree));
    assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
    let outside = place.path().join("outside");
    fs::rename(tree.root.join("var/cache"), &outside).expect("ours");
    symlink(&outside, tree.root.join("var/cache")).expect("a link");
    install(&tree.site, "bar");
    let before = everything_below(&outside);
    let ended = on(Mask::Old, trigger(&place, &tree));
    assert!(ended.status == Some(0) && ended.err.contains("var/cache is a link to"), "{ended:?}");
    assert_eq!(everything_below(&outside), before);
}

#[test]
fn an_unreadable_configuration_counts_as_requiring_confinement() {
    if skipped_without_root("mask what the kernel has") || !has_everything() {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    tree.configure("require-sandbox = true\nsite-directorys = []\n");
    let ended = on(Mask::Landlock, trigger(&place, &tree));
    assert!(ended.status == Some(0) && ended.err.contains("is not confined as"), "{ended:?}");
    assert!(!tree.index.exists());
    on(Mask::Nothing, trigger(&place, &tree));
    assert_eq!(indexed(&tree.index), ["foo-1.dist-info"]);
}

#[test]
fn missing_confinement_is_reported_once_but_not_by_a_trigger() {
    if skipped_without_root("mask what the kernel has") || !has_everything() {
        return;
    }
    let place = Place::new();
    let sites = ["one", "two"].map(|name| {
        let site = place.directory(name);
        install(&site, "foo");
        site
    });
    give_away(&sites[0]);
    give_away(&sites[0].join("foo-1.dist-info"));
    let ended =
        on(Mask::Both, place.epcache(["refresh".as_ref(), sites[0].as_os_str(), sites[1].as_os_str()]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let output: Vec<_> =
        ended.err.lines().filter(|line| line.contains("not confined by landlock: ")).collect();
    assert!(output.len() == 1 && output[0].contains("; seccomp: "), "{ended:?}");
    assert!(
        output[0].starts_with("epcache: warning: ") && output[0].ends_with("hint: epcache status --sandbox")
    );
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let ended = on(Mask::Both, trigger(&place, &tree));
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
}
