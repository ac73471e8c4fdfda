//! Help, usage and exit statuses.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use epcache::freshness::clock::SETTLE_AFTER;
use snapbox::{Assert, Data, assert::DEFAULT_ACTION_ENV};

use crate::support::program::{Place, run, skipped_without_root};
use crate::support::tree::{Tree, indexed, install, names};

#[test]
fn help_texts_match_the_recorded_ones() {
    let place = Place::new();
    let assert = Assert::new().action_env(DEFAULT_ACTION_ENV);
    for subcommand in [
        "",
        "refresh",
        "trigger",
        "list",
        "status",
        "verify",
        "enable",
        "disable",
        "run",
        "clean",
        "watch",
        "hooks",
        "hooks list",
        "hooks check",
        "hooks run",
        "hooks log",
    ] {
        let ended = run(place.epcache(subcommand.split_whitespace().chain(["--help"])));
        assert_eq!(ended.status, Some(0));
        let name = if subcommand.is_empty() { "epcache".to_owned() } else { subcommand.replace(' ', "-") };
        let path = format!("{}/tests/rust/cli/help/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        assert.eq(ended.out, Data::read_from(path.as_ref(), None));
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["refresh", "--nonsense"],
        &["list", "--group"],
        &["status", "--full"],
        &["verify", "--json"],
    ] {
        let ended = run(place.epcache(arguments));
        assert_eq!((ended.status, ended.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(
            ended.err.contains("Usage: epcache") || ended.err.contains("try '--help'"),
            "{arguments:?}: {}",
            ended.err
        );
    }
}

#[test]
fn exit_status_is_0_for_success_and_1_for_stale_or_different() {
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    let path = site.to_str().expect("UTF-8");
    let ended = run(place.epcache(["status", path]));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.out.contains("missing") && ended.out.contains("hint: epcache refresh"), "{ended:?}");
    assert_eq!(run(place.epcache(["verify", path])).status, Some(1));
    // New distributions may still be incomplete.
    std::thread::sleep(epcache::freshness::clock::SETTLE_AFTER);
    assert_eq!(run(place.epcache(["refresh", path])).status, Some(0));
    let ended = run(place.epcache(["status", path]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let ended = run(place.epcache(["verify", path]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    fs::write(site.join("foo-1.dist-info/entry_points.txt"), "[g]\nfoo = m:x\n").expect("room");
    let ended = run(place.epcache(["verify", path]));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.out.contains("foo-1.dist-info: entry points differ"), "{ended:?}");
    let ended = run(place.epcache(["status", path]));
    assert!(ended.status == Some(1) && ended.out.contains("stale: updated: foo-1.dist-info"), "{ended:?}");
}

#[test]
fn refresh_waits_for_an_installation_in_progress() {
    let place = Place::new();
    let before = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let sites: Vec<_> = [
        (None, None, "fresh"),
        (Some("entry_points.txt"), None, "fresh"),
        (Some("METADATA"), None, "unsettled"),
        (Some("RECORD"), None, "unsettled"),
        (Some("INSTALLER"), None, "unsettled"),
        // All files came with a package, one after the other.
        (None, Some(before), "unsettled"),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (missing, packaged, state))| {
        let site = place.directory(&format!("site{number}"));
        let directory = install(&site, "foo");
        if let Some(name) = missing {
            fs::remove_file(directory.join(name)).expect("was just written");
        }
        if let Some(time) = packaged {
            let file = File::options().write(true).open(directory.join("INSTALLER")).expect("ours");
            file.set_modified(time).expect("ours");
        }
        (site, missing, state)
    })
    .collect();
    std::thread::sleep(SETTLE_AFTER);
    for (site, missing, state) in sites {
        assert_eq!(run(place.epcache([&"refresh".into(), &site])).status, Some(0));
        let ended = run(place.epcache([&"status".into(), &site]));
        assert!(ended.out.contains(state), "{missing:?}: {ended:?}");
        if state == "unsettled" && missing.is_none() {
            let ended = run(place.epcache(["refresh".as_ref(), "--seal".as_ref(), site.as_os_str()]));
            assert!(ended.out.contains("; sealed"), "{missing:?}: {ended:?}");
        }
    }
}

#[test]
fn a_failure_ends_with_3_and_the_other_directories_are_done() {
    let place = Place::new();
    let (site, file, egg) = (place.directory("site"), place.path().join("file"), place.directory("foo.egg"));
    install(&site, "foo");
    fs::write(&file, "").expect("room");
    for (path, why) in [
        (place.path().join("missing"), "does not exist"),
        (file.clone(), "is not a directory"),
        (file.join("below"), ""),
        (egg, "an .egg has no index"),
    ] {
        let ended = run(place.epcache([&"refresh".into(), &path, &site]));
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert!(ended.err.contains(&format!("{}: {why}", path.display())), "{ended:?}");
        assert_eq!(indexed(&site.join(".epcache/index")), ["foo-1.dist-info"]);
        fs::remove_dir_all(site.join(".epcache")).expect("our own directory");
        for command in ["status", "verify"] {
            let ended = run(place.epcache([&command.into(), &path]));
            assert!(matches!(ended.status, Some(1 | 3)) && !(ended.out + &ended.err).is_empty(), "{command}");
        }
    }
}

#[test]
fn refresh_entrypoints_cache_is_an_alias_of_refresh() {
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    let name = place.path().join("refresh-entrypoints-cache");
    symlink(env!("CARGO_BIN_EXE_epcache"), &name).expect("a link");
    let ended = run(Command::new(&name).arg("--json").arg(&site));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(names(&ended.out, "added"), ["foo-1.dist-info"]);
    let ended = run(Command::new(&name).arg("--help"));
    assert!(ended.out.contains("Bring indexes up to date"), "{ended:?}");
}

#[test]
fn an_environment_is_found_by_its_directory_and_by_the_shell_s_variable() {
    let place = Place::new();
    let site = place.directory("venv/lib/python3.13/site-packages");
    install(&site, "foo");
    let venv = place.path().join("venv");
    for command in [
        place
            .epcache(["refresh", "--json", "--venv", venv.to_str().expect("UTF-8")])
            .env("VIRTUAL_ENV", "/nowhere"),
        place.epcache(["refresh", "--json", "--full"]).env("VIRTUAL_ENV", &venv),
    ] {
        let ended = run(command);
        assert_eq!(names(&ended.out, "read"), ["foo-1.dist-info"], "{ended:?}");
    }
    let ended = run(place.epcache(["refresh", "--venv"]).arg(place.directory("empty")));
    assert!(ended.status == Some(3) && ended.err.contains("is not a Python environment"), "{ended:?}");
}

#[test]
fn list_filters_by_group_and_name() {
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    let directory = install(&site, "Bar.Baz");
    fs::write(directory.join("entry_points.txt"), "[h]\nb = m:b\na = m:a [x]\n[g]\nfoo = n:f\n")
        .expect("room");
    for (narrowing, expected) in [
        (&[][..], 4),
        (&["--group", "g"], 2),
        (&["--group", "h"], 2),
        (&["--group", "G"], 0),
        (&["--name", "foo"], 2),
        (&["--dist", "bar-baz"], 3),
        (&["--dist", "foo", "--name", "foo", "--group", "g"], 1),
        (&["--dist", "nothing"], 0),
    ] {
        // Before there is an index, and from it.
        let ended = run(place.epcache(["list", "--json", "--site"]).arg(&site).args(narrowing));
        let rows: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(expected), "{narrowing:?}: {ended:?}");
        assert_eq!(run(place.epcache(["refresh"]).arg(&site)).status, Some(0));
    }
    let ended = run(place.epcache(["list", "--group", "h", "--site"]).arg(&site));
    assert_eq!(ended.out, "h: a = m:a [x] (Bar.Baz 1)\nh: b = m:b (Bar.Baz 1)\n");
}

#[test]
fn an_environment_path_need_not_be_utf_8() {
    let place = Place::new();
    let venv = place.path().join(OsStr::from_bytes(b"v\xff[*"));
    let site = venv.join("lib/python3.13/site-packages");
    fs::create_dir_all(&site).expect("a directory");
    install(&site, "foo");
    let ended = run(place.epcache(["refresh", "--json", "--venv"]).arg(&venv));
    assert_eq!(names(&ended.out, "added"), ["foo-1.dist-info"], "{ended:?}");
    let ended = run(place.epcache(["list", "--venv"]).arg(&venv));
    assert!(ended.out.contains("foo = m:f"), "{ended:?}");
}

#[test]
fn status_does_not_look_into_the_cache_of_root() {
    if skipped_without_root("work as another user") {
        return;
    }
    for with_user in [true, false] {
        let place = Place::new();
        let tree = Tree::new(&place);
        install(&tree.site, "foo");
        if !with_user {
            fs::write(tree.root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").expect("room");
        }
        let home = place.directory("home");
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("ours");
        let ended = run(place.epcache(["status", "--system", "--root"]).arg(&tree.root));
        assert!(ended.status == Some(1) && ended.err.is_empty(), "{ended:?}");
    }
}
