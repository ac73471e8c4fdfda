//! What `enable` writes, and what `disable` leaves behind.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::program::{Ended, Place, UNTRUSTED_UID, give_away, is_root, run, skipped_without_root};
use crate::support::tree::{everything_below, indexed, install};

/// A site directory with the package in it, and another distribution.
fn site(place: &Place) -> PathBuf {
    let site = place.directory("venv/lib/python3.13/site-packages");
    install_package(&site);
    install(&site, "foo");
    site
}

fn install_package(site: &Path) {
    fs::create_dir(site.join("epcache_startup")).expect("a directory");
    fs::write(site.join("epcache_startup/__init__.py"), "").expect("room");
}

fn epcache(place: &Place, arguments: &[&str], site: &Path) -> Ended {
    run(place.epcache(arguments).arg(site))
}

/// All files except those of the index, with their content and modes.
fn files(site: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let paths = everything_below(site).into_keys().filter(|path| !path.starts_with(site.join(".epcache")));
    paths
        .map(|path| {
            let meta = fs::symlink_metadata(&path).expect("it is there");
            (path.clone(), (meta.mode(), meta.is_file().then(|| fs::read(&path).expect("it is there"))))
        })
        .collect()
}

#[test]
fn the_chosen_features_are_the_arguments_of_one_guarded_import() {
    let place = Place::new();
    let site = site(&place);
    for (chosen, names, arguments) in [
        (&["--accelerate"][..], "accelerate", "\"accelerate\""),
        (&["--pip-hook"], "pip-hook", "\"pip-hook\""),
        (&["--pip-hook", "--accelerate"], "accelerate, pip-hook", "\"accelerate\", \"pip-hook\""),
    ] {
        let ended = epcache(&place, &[&["enable"], chosen].concat(), &site);
        assert_eq!(ended.out, format!("{}: enabled: {names}\n", site.display()), "{ended:?}");
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
        let pth = fs::read_to_string(site.join("epcache.pth")).expect("it is there");
        let lines: Vec<_> = pth.lines().collect();
        assert!(lines[0].starts_with("# made by epcache enable") && lines.len() == 2, "{pth}");
        assert!(lines[1].starts_with("import os; "), "{pth}");
        let call = format!("__import__(\"epcache_startup\").enable({arguments})");
        assert!(lines[1].ends_with(&call), "{pth}");
        assert!(!pth.contains("exec") && !pth.contains("eval"), "{pth}");
        assert_eq!(indexed(&site.join(".epcache/index")), ["foo-1.dist-info"]);
    }
}

#[test]
fn enabling_again_changes_nothing_and_reports_that() {
    let place = Place::new();
    let site = site(&place);
    assert_eq!(epcache(&place, &["enable", "--accelerate"], &site).status, Some(0));
    let before = everything_below(&site);
    let ended = epcache(&place, &["enable", "--accelerate"], &site);
    assert_eq!(ended.out, format!("{}: already enabled: accelerate\n", site.display()), "{ended:?}");
    let mut after = everything_below(&site);
    // The index may have become settled meanwhile.
    let own = site.join(".epcache");
    after.retain(|path, _| !path.starts_with(&own));
    assert!(after.iter().all(|(path, description)| before.get(path) == Some(description)), "{after:?}");
}

#[test]
fn every_user_can_read_the_file_whatever_the_umask() {
    let place = Place::new();
    let site = site(&place);
    let script = "umask 077; exec \"$0\" enable --accelerate \"$1\"";
    let ended = run(Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_epcache")]).arg(&site));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(fs::metadata(site.join("epcache.pth")).expect("it is there").mode(), 0o100_644);
}

#[test]
fn disabling_leaves_no_files_and_an_up_to_date_index() {
    let place = Place::new();
    let site = site(&place);
    let before = files(&site);
    let ended = epcache(&place, &["disable"], &site);
    assert_eq!((ended.status, ended.out), (Some(0), format!("{}: not enabled\n", site.display())));
    assert!(!site.join(".epcache").exists(), "what was not enabled needs no index");
    assert_eq!(epcache(&place, &["enable", "--accelerate", "--pip-hook"], &site).status, Some(0));
    std::thread::sleep(epcache::freshness::clock::SETTLE_AFTER);
    let ended = epcache(&place, &["disable"], &site);
    assert_eq!((ended.status, ended.out), (Some(0), format!("{}: disabled\n", site.display())));
    assert_eq!(files(&site), before);
    let ended = epcache(&place, &["status"], &site);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn disabling_creates_no_index() {
    let place = Place::new();
    let site = site(&place);
    assert_eq!(epcache(&place, &["enable", "--accelerate"], &site).status, Some(0));
    fs::remove_dir_all(site.join(".epcache")).expect("our own directory");
    assert_eq!(epcache(&place, &["disable"], &site).status, Some(0));
    assert!(!site.join(".epcache").exists());
}

#[test]
fn enable_without_the_package_writes_nothing_and_hints_how_to_install_it() {
    let place = Place::new();
    let venv = place.directory("venv");
    let pip = "as the owner of that directory, install the package epcache there with pip";
    for (name, hint_for_the_owner, hint_for_root) in [
        (
            "venv/lib/python3.13/site-packages",
            format!("{}/bin/python -m pip install epcache", venv.display()),
            pip,
        ),
        (
            "pypy/lib/pypy3.11/site-packages",
            format!("{}/pypy/bin/python -m pip install epcache", place.path().display()),
            pip,
        ),
        (
            "lib/python3/dist-packages",
            "install the package python3-epcache of this system".to_owned(),
            "install the package python3-epcache of this system",
        ),
        ("target", format!("python3 -m pip install --target {}/target epcache", place.path().display()), pip),
    ] {
        let site = place.directory(name);
        for obstacle in ["", "epcache_startup", "epcache_startup/__init__.py"] {
            place.directory(&format!("{name}/{obstacle}"));
            give_away(&site);
            let mut calls =
                vec![(place.epcache_as_untrusted_user(["enable", "--accelerate"]), &*hint_for_the_owner)];
            if is_root() {
                calls.push((place.epcache(["enable", "--accelerate"]), hint_for_root));
            }
            for (mut command, hint) in calls {
                let ended = run(command.arg(&site));
                assert_eq!((ended.status, ended.out.as_str()), (Some(3), ""), "{ended:?}");
                let message = format!(
                    "epcache: error: {}: the Python package epcache is not installed there; hint: {hint}\n",
                    site.display()
                );
                assert_eq!(ended.err, message);
            }
            let left: Vec<_> = fs::read_dir(&site).expect("a listing").flatten().collect();
            assert_eq!(left.len(), usize::from(!obstacle.is_empty()), "{left:?}");
        }
    }
}

#[test]
fn an_environment_of_a_version_before_3_9_is_refused() {
    let place = Place::new();
    for version in ["python3.6", "pypy3.8"] {
        let site = place.directory(&format!("{version}/lib/{version}/site-packages"));
        install_package(&site);
        let venv = place.path().join(version);
        let ended = run(place.epcache(["enable", "--accelerate", "--venv"]).arg(&venv));
        let message = format!("{}: {version} is older than 3.9, which the Python", site.display());
        assert!(ended.status == Some(3) && ended.err.contains(&message), "{ended:?}");
        assert!(!site.join("epcache.pth").exists());
    }
}

#[test]
fn a_file_of_another_program_is_neither_replaced_nor_removed() {
    let place = Place::new();
    let site = site(&place);
    let (path, elsewhere) = (site.join("epcache.pth"), place.path().join("elsewhere"));
    fs::write(&elsewhere, "# made by epcache enable; epcache disable removes it\n").expect("room");
    let make: [(&str, &dyn Fn()); 5] = [
        ("a file", &|| fs::write(&path, "import something\n").expect("room")),
        ("a link", &|| symlink(&elsewhere, &path).expect("a link")),
        ("a link to nothing", &|| symlink("nothing", &path).expect("a link")),
        ("a directory", &|| fs::create_dir(&path).expect("a directory")),
        ("a pipe", &|| {
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a pipe");
        }),
    ];
    for (what, make) in make {
        make();
        let before = files(&site);
        let ended = epcache(&place, &["enable", "--accelerate"], &site);
        assert_eq!(ended.status, Some(3), "{what}: {ended:?}");
        assert!(
            ended.err.contains(&format!("{}: not made by epcache", path.display()))
                && ended.err.contains("hint: "),
            "{what}: {ended:?}"
        );
        let ended = epcache(&place, &["disable"], &site);
        assert_eq!(ended.status, Some(0), "{what}: {ended:?}");
        assert!(ended.err.contains("so it stays"), "{what}: {ended:?}");
        assert_eq!(files(&site), before, "{what}");
        if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.expect("it is there");
    }
    assert_eq!(epcache(&place, &["enable", "--accelerate"], &site).status, Some(0));
}

#[test]
fn the_environment_is_the_active_one_or_must_be_named() {
    let place = Place::new();
    let site = site(&place);
    let venv = place.path().join("venv");
    for command in ["enable --accelerate", "disable"] {
        let words = command.split(' ');
        let ended = run(place.epcache(words.clone()));
        assert_eq!((ended.status, ended.out.as_str()), (Some(3), ""), "{ended:?}");
        assert!(ended.err.contains("looked for an environment (VIRTUAL_ENV, "), "{ended:?}");
        let ended = run(place.epcache(words.clone()).env("VIRTUAL_ENV", &venv));
        assert!(ended.status == Some(0) && ended.out.contains("abled"), "{ended:?}");
        let ended = run(place.epcache(words).arg("--venv").arg(&venv));
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let ended = epcache(&place, &["enable"], &site);
    assert!(ended.status == Some(2) && ended.err.contains("--accelerate"), "{ended:?}");
}

#[test]
fn one_directory_of_an_interpreter_with_the_package_is_enough() {
    let place = Place::new();
    // As on Debian, where pip and apt install into different directories.
    let local = place.directory("usr/local/lib/python3.13/dist-packages");
    let site = place.directory("usr/lib/python3/dist-packages");
    let python = place.directory("usr/bin").join("python3.13");
    // Nothing can run it, so its location decides.
    fs::write(&python, "").expect("room");
    let enable = || run(place.epcache(["enable", "--accelerate", "--python"]).arg(&python));
    let ended = enable();
    assert_eq!((ended.status, &*ended.out), (Some(3), ""), "neither has it: {ended:?}");
    assert_eq!(ended.err.matches("is not installed there").count(), 2, "{ended:?}");
    install_package(&site);
    let ended = enable();
    assert!(ended.status == Some(0) && ended.err.is_empty(), "{ended:?}");
    assert!(site.join("epcache.pth").exists() && !local.join("epcache.pth").exists());
    // An environment without it is an error, whatever else is named.
    let venv = place.directory("venv/lib/python3.13/site-packages");
    let ended = run(place
        .epcache(["enable", "--accelerate", "--venv"])
        .arg(place.path().join("venv"))
        .arg("--python")
        .arg(&python));
    assert!(ended.status == Some(3) && ended.err.contains(venv.to_str().expect("UTF-8")), "{ended:?}");
    assert!(ended.out.contains("dist-packages: already enabled"), "{ended:?}");
    // What is named must have it.
    let ended = run(place.epcache(["enable", "--accelerate"]).args([&local, &site]));
    assert!(ended.status == Some(3) && ended.err.contains(local.to_str().expect("UTF-8")), "{ended:?}");
}

#[test]
fn results_are_printed_as_json() {
    let place = Place::new();
    let site = site(&place);
    let (missing, bare) = (place.path().join("missing"), place.directory("bare"));
    let arguments = ["enable", "--json", "--pip-hook", "--accelerate"];
    let ended = run(place.epcache(arguments).args([&missing, &site, &bare]));
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let index = site.join(".epcache/index");
    assert_eq!(
        lines,
        [
            serde_json::json!({"site": site, "enabled": ["accelerate", "pip-hook"], "changed": true, "index": index}),
            serde_json::json!({
                "site": bare, "enabled": [], "changed": false, "index": null,
                "error": format!("{}: the Python package epcache is not installed there", bare.display())
            }),
        ]
    );
    let ended = epcache(&place, &["disable", "--json"], &site);
    let line: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!(line, serde_json::json!({"site": site, "enabled": [], "changed": true, "index": index}));
}

#[test]
fn missing_write_permission_is_an_error() {
    if skipped_without_root("create a directory that another user may not write to") {
        return;
    }
    let place = Place::new();
    let site = site(&place);
    let before = files(&site);
    let ended = run(place.epcache_as_untrusted_user(["enable", "--accelerate"]).arg(&site));
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.err.contains("epcache.pth: can't write: Permission denied"), "{ended:?}");
    assert_eq!(files(&site), before);
}

#[test]
fn an_environment_is_enabled_by_root_as_its_owner() {
    if skipped_without_root("give privileges up") {
        return;
    }
    let place = Place::new();
    let site = site(&place);
    everything_below(&site).into_keys().for_each(|path| give_away(&path));
    let ended = epcache(&place, &["enable", "--accelerate"], &site);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for path in everything_below(&site).into_keys() {
        assert_eq!(
            fs::symlink_metadata(&path).expect("it is there").uid(),
            UNTRUSTED_UID,
            "{}",
            path.display()
        );
    }
    assert_eq!(epcache(&place, &["disable"], &site).status, Some(0));
    assert!(!site.join("epcache.pth").exists());
}

#[test]
fn a_system_wide_directory_is_written_by_root_and_its_index_by_the_cache_user() {
    const CACHE_USER: u32 = 43210;
    if skipped_without_root("mount") {
        return;
    }
    let place = Place::new();
    let (packages, cache) = (place.directory("packages"), place.directory("cache/epcache"));
    place.directory("packages/epcache_startup");
    fs::write(packages.join("epcache_startup/__init__.py"), "").expect("room");
    install(&packages, "foo");
    std::os::unix::fs::chown(&cache, Some(CACHE_USER), Some(CACHE_USER)).expect("root may");
    let passwd = place.path().join("passwd");
    fs::write(
        &passwd,
        format!("root:x:0:0::/:/bin/sh\nepcache:x:{CACHE_USER}:{CACHE_USER}::/:/usr/sbin/nologin\n"),
    )
    .expect("room");
    let script = "mount --bind cache /var/cache && mount --bind passwd /etc/passwd \
                  && mount --bind packages /usr/lib/python3/dist-packages || exit 99; \
                  \"$0\" enable --accelerate /usr/lib/python3/dist-packages && ls -1n \
                  /usr/lib/python3/dist-packages/epcache.* \
                  /var/cache/epcache/usr/lib/python3/dist-packages/index; \
                  \"$0\" disable /usr/lib/python3/dist-packages";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_epcache")]).current_dir(place.path());
    let ended = run(&mut command);
    if !Path::new("/usr/lib/python3/dist-packages").is_dir() || ended.status == Some(99) {
        eprintln!("skipped: no such directory on this machine, or no right to mount: {ended:?}");
        return;
    }
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let owners: Vec<_> = ended.out.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    // The output of both commands has no third word that is a number.
    let owners: Vec<u32> = owners.into_iter().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(owners, [0, CACHE_USER], "{ended:?}");
    assert!(!packages.join("epcache.pth").exists() && !packages.join(".epcache").exists(), "{ended:?}");
    assert_eq!(indexed(&cache.join("usr/lib/python3/dist-packages/index")), ["foo-1.dist-info"]);
}

#[test]
fn disable_removes_temporary_files_of_a_killed_process() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: no strace on this machine");
        return;
    }
    let place = Place::new();
    let site = site(&place);
    let before = files(&site);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    command.arg("inject=rename,renameat,renameat2:signal=KILL:when=1");
    let ended = run(command.args([env!("CARGO_BIN_EXE_epcache"), "enable", "--accelerate"]).arg(&site));
    assert!(ended.status != Some(0), "{ended:?}");
    let left: Vec<_> = everything_below(&site)
        .into_keys()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    assert!(left.iter().any(|name| name.starts_with(".epcache-enable.")), "{left:?}");
    // An interpreter that starts now does not execute the unfinished file.
    assert!(!left.iter().any(|name| name.ends_with(".pth")), "{left:?}");
    assert_eq!(epcache(&place, &["disable"], &site).status, Some(0));
    assert_eq!(files(&site), before);
}
