//! Hints, which a user may paste into a shell, about paths whose names an attacker has chosen.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{Ended, Place, give_away, is_root, run, skipped_without_root};
use crate::support::tree::{Tree, install};

/// Names that write a file `pwned` if a shell takes them for more than a word.
const HOSTILE: [&[u8]; 11] = [
    b"$(>pwned)",
    b"`>pwned`",
    b";>pwned;",
    b"&>pwned&",
    b"'; >pwned; '",
    b"\"; >pwned; \"",
    b"' $(>pwned) '",
    b"a\n>pwned\n",
    b"\x1b'; >pwned; '",
    b"\xff\\'; >pwned; '",
    "\u{202e}\\'; >pwned; \\'$(>pwned)".as_bytes(),
];

/// The hints of everything that can go wrong around a directory of that name, and of its messages.
fn hints(place: &Place, name: &OsStr) -> Vec<String> {
    let top = place.path().join(name);
    let directory = |below: &str| {
        fs::create_dir_all(top.join(below)).expect("a directory");
        top.join(below)
    };
    let mut hints = Vec::new();
    let mut collect = |what: &str, ended: Ended| {
        let lines = ended.out.lines().chain(ended.err.lines());
        let found: Vec<String> =
            lines.filter_map(|line| Some(line.split_once("hint: ")?.1.to_owned())).collect();
        assert!(!found.is_empty(), "{what}: {ended:?}");
        hints.extend(found);
    };
    let site = directory("site");
    install(&site, "foo");
    collect("no index", run(place.epcache(["status"]).arg(&site)));

    let many = directory("many");
    for number in 0..60 {
        fs::write(install(&many, &format!("d{number}")).join("entry_points.txt"), "nonsense\n")
            .expect("room");
    }
    install(&many, "~interrupted");
    collect("many diagnostics", run(place.epcache(["refresh"]).arg(&many)));

    let linked = directory("linked");
    install(&linked, "foo");
    symlink("nowhere", linked.join(".epcache")).expect("a link");
    collect("no directory", run(place.epcache(["refresh"]).arg(&linked)));

    for below in ["venv/lib/python3.13/site-packages", "target", "lib/python3/dist-packages"] {
        let site = directory(below);
        collect("no package", run(place.epcache(["enable", "--accelerate"]).arg(&site)));
        give_away(&site);
        collect("no package", run(place.epcache_as_untrusted_user(["enable", "--accelerate"]).arg(&site)));
    }
    let foreign = directory("foreign");
    directory("foreign/epcache_startup");
    fs::write(foreign.join("epcache_startup/__init__.py"), "").expect("room");
    fs::write(foreign.join("epcache.pth"), "").expect("room");
    collect("another file", run(place.epcache(["enable", "--accelerate"]).arg(&foreign)));
    if is_root() {
        hints.extend(hints_of_a_tree(place, &top));
    }
    hints
}

/// The hints about the tree of another system, which only root works on.
fn hints_of_a_tree(place: &Place, top: &Path) -> Vec<String> {
    let inner = Place::new();
    let tree = Tree::new(&inner);
    let configuration = tree.configure("");
    let moved = top.join("tree");
    let passwd = moved.join("etc/passwd");
    fs::rename(&tree.root, &moved).expect("one file system");
    let below: PathBuf = configuration.strip_prefix(&tree.root).expect("below").to_owned();
    let refresh = || run(place.epcache(["refresh", "--system", "--root"]).arg(&moved));
    give_away(&moved.join(&below));
    let configured = refresh();
    fs::remove_file(moved.join(&below)).expect("ours");
    fs::write(&passwd, "epcache:x:7:7::/:/bin/sh\n").expect("room");
    let can_log_in = refresh();
    fs::write(&passwd, "").expect("room");
    let mut hints = Vec::new();
    for ended in [configured, can_log_in, refresh()] {
        let hint = ended.err.lines().find_map(|line| Some(line.split_once("hint: ")?.1.to_owned()));
        hints.push(hint.unwrap_or_else(|| panic!("{ended:?}")));
    }
    hints
}

#[test]
fn no_hint_executes_a_part_of_a_name() {
    for name in HOSTILE {
        let place = Place::new();
        let hints = hints(&place, OsStr::from_bytes(name));
        for (shell, hint) in
            ["sh", "bash"].iter().flat_map(|shell| hints.iter().map(move |hint| (shell, hint)))
        {
            let sandbox = place.directory("sandbox");
            let mut command = Command::new(shell);
            // Commands of the hint itself are not found: only a part of a name could write something.
            command.args(["-c", "PATH=/nowhere; eval \"$1\"", "sh", hint]).current_dir(&sandbox);
            match command.output() {
                Ok(_) => {}
                Err(_) if *shell == "bash" => continue,
                Err(error) => panic!("{error}"),
            }
            assert_eq!(fs::read_dir(&sandbox).expect("a listing").count(), 0, "{shell}: {hint}");
        }
    }
}

#[test]
fn root_gets_no_hint_to_run_a_program_of_an_environment() {
    if skipped_without_root("get a hint for root") {
        return;
    }
    for below in ["venv/lib/python3.13/site-packages", "target"] {
        for owned_by_root in [true, false] {
            let place = Place::new();
            let site = place.directory(below);
            if !owned_by_root {
                give_away(&site);
            }
            let ended = run(place.epcache(["enable", "--accelerate"]).arg(&site));
            let (_, hint) = ended.err.split_once("hint: ").unwrap_or_else(|| panic!("{ended:?}"));
            assert!(!hint.contains('/') && !hint.contains("-m pip"), "{hint}");
        }
    }
}

/// Runs the hint that a text ends with in a shell that finds the program.
fn follow(place: &Place, text: &str) -> Ended {
    let hint = text.trim_end().split_once("hint: ").unwrap_or_else(|| panic!("no hint: {text}")).1;
    let program = Path::new(env!("CARGO_BIN_EXE_epcache")).parent().expect("a directory");
    let mut shell = Command::new("sh");
    let path = format!("{}:/usr/bin:/bin", program.display());
    run(shell.args(["-c", hint]).env_clear().env("PATH", path).current_dir(place.path()))
}

#[test]
fn a_stale_sealed_index_is_sealed_again_by_its_hint() {
    let place = Place::new();
    let site = place.directory("a site");
    install(&site, "foo");
    let ended = run(place.epcache(["refresh", "--seal"]).arg(&site));
    assert!(ended.out.contains("; sealed"), "{ended:?}");
    install(&site, "bar");
    let ended = run(place.epcache(["status"]).arg(&site));
    assert!(ended.status == Some(1) && ended.out.contains("hint: epcache refresh --seal "), "{ended:?}");
    let ended = follow(&place, &ended.out);
    assert!(ended.status == Some(0) && ended.out.contains("; sealed"), "{ended:?}");
}

#[test]
fn what_prevents_a_seal_is_mended_by_its_hint() {
    if skipped_without_root("write system-wide indexes") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    let refresh = || run(place.epcache(["refresh", "--system", "--seal", "--root"]).arg(&tree.root));
    let ended = refresh();
    assert!(ended.err.contains("not sealed: there is no package database"), "{ended:?}");
    assert!(ended.err.contains("hint: seal environments only"), "{ended:?}");
    let database = place.directory("tree/var/lib/dpkg").join("status");
    fs::write(&database, "").expect("room");
    let before = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    for (path, hint) in [(&database, "in the step that runs the package manager"), (&tree.site, "touch ")] {
        fs::File::open(path).and_then(|file| file.set_modified(before)).expect("ours");
        std::thread::sleep(epcache::freshness::clock::SETTLE_AFTER);
        let ended = refresh();
        assert!(ended.status == Some(0) && ended.err.contains("not sealed: the mtime of the "), "{ended:?}");
        assert!(ended.err.contains(&format!("hint: {hint}")), "{ended:?}");
        // What the package manager does.
        fs::write(&database, "x").expect("room");
        if path == &tree.site {
            let ended = follow(&place, &ended.err);
            assert!(ended.status == Some(0) && ended.out.contains("; sealed"), "{ended:?}");
        }
    }
}
