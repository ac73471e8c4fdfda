//! Registered hooks: what `hooks list` and `hooks check` say of them, and what `enable --hooks` lets count.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use epcache::change::{Change, write_lines};
use serde_json::Value;

use crate::support::program::{Ended, Place, UNTRUSTED_UID, give_away, is_root, run, skipped_without_root};
use crate::support::tree::{Tree, everything_below, install, text};

const PACKAGES: &str = "usr/share/epcache/hooks.d";
const ADMINISTRATOR: &str = "etc/epcache/hooks.d";
const VALID: &str = "description = 'A cache'\ncommand = ['/usr/lib/hook']\n";

/// A system with the program that the hooks run.
fn system(place: &Place) -> Tree {
    let tree = Tree::new(place);
    for directory in [PACKAGES, ADMINISTRATOR, "usr/lib"] {
        fs::create_dir_all(tree.root.join(directory)).expect("a directory");
    }
    program(&tree.root.join("usr/lib/hook"));
    tree
}

fn program(path: &Path) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, "#!/bin/sh\n").expect("room");
    mode(path, 0o755);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

fn register(directory: &Path, name: &str, content: &str) -> PathBuf {
    fs::create_dir_all(directory).expect("a directory");
    let path = directory.join(format!("{name}.toml"));
    fs::write(&path, content).expect("room");
    path
}

fn list(place: &Place, tree: &Tree, options: &[&str]) -> Ended {
    run(place.epcache(["hooks", "list", "--root", text(&tree.root)]).args(options))
}

/// The objects of `--json`, each as `NAME STATE`.
fn states(ended: &Ended) -> Vec<String> {
    let rows: Vec<Value> =
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let word = |row: &Value, key: &str| row[key].as_str().expect("a text").to_owned();
    rows.iter().map(|row| format!("{} {}", word(row, "name"), word(row, "state"))).collect()
}

#[test]
fn the_list_has_every_registration_and_what_becomes_of_it() {
    let place = Place::new();
    let tree = system(&place);
    let [packages, administrator] = [PACKAGES, ADMINISTRATOR].map(|path| tree.root.join(path));
    register(&packages, "active", VALID);
    register(&packages, "masked", VALID);
    register(&packages, "other", VALID);
    register(&packages, "replaced", VALID);
    register(&administrator, "replaced", "description = 'Another'\npython = 'm:f'\n");
    register(&administrator, "wrong", "description = 'x'\n\ncomand = ['/usr/lib/hook']\n");
    register(&administrator, "other", "description = ");
    symlink("/dev/null", administrator.join("masked.toml")).expect("a link");
    // No registrations, as package managers and editors leave them.
    for name in ["x.toml.dpkg-new", "x.toml~", "README"] {
        fs::write(administrator.join(name), "").expect("room");
    }
    let ended = list(&place, &tree, &[]);
    let (p, a) = (packages.display(), administrator.display());
    let expected = format!(
        "{p}/active.toml: active: A cache
{p}/masked.toml: overridden by {a}/masked.toml
{a}/masked.toml: masked
{p}/other.toml: overridden by {a}/other.toml
{a}/other.toml: refused: line 1: "
    );
    assert!(ended.out.starts_with(&expected), "{ended:?}");
    let expected = format!(
        "\n{p}/replaced.toml: overridden by {a}/replaced.toml
{a}/replaced.toml: active: Another
{a}/wrong.toml: refused: line 3: unknown key comand; did you mean command?\n"
    );
    assert!(ended.out.ends_with(&expected), "{ended:?}");
    assert_eq!((ended.status, ended.err.as_str()), (Some(1), ""));

    fs::remove_file(administrator.join("wrong.toml")).expect("ours");
    fs::remove_file(administrator.join("other.toml")).expect("ours");
    let ended = list(&place, &tree, &["--json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let expected = [
        "active active",
        "masked overridden",
        "masked masked",
        "other active",
        "replaced overridden",
        "replaced active",
    ];
    assert_eq!(states(&ended), expected);
    let rows: Vec<Value> = serde_json::from_str(&ended.out).expect("JSON");
    let registration = serde_json::json!({
        "name": "active",
        "description": "A cache",
        "on": { "distributions": [], "groups": [], "events": ["added", "updated", "removed"] },
        "command": ["/usr/lib/hook"],
        "order": 0,
        "timeout": 30,
        "when": "transaction",
        "sandbox": { "read": [], "write": [], "network": false, "memory": 512, "processes": 64 },
    });
    let expected = serde_json::json!({
        "name": "active",
        "path": text(&packages.join("active.toml")),
        "origin": "packages",
        "environment": null,
        "state": "active",
        "reason": null,
        "hint": null,
        "registration": registration,
        "failures": 0,
        "waits_until": null,
    });
    assert_eq!(rows[0], expected);
    assert_eq!(rows[5]["registration"]["python"], "m:f");
}

#[test]
fn where_nothing_is_registered_the_list_says_where_it_looked() {
    let place = Place::new();
    let tree = Tree::new(&place);
    let ended = list(&place, &tree, &[]);
    let root = tree.root.display();
    let message = format!(
        "epcache: error: no hooks are registered; looked in {root}/{PACKAGES}, {root}/{ADMINISTRATOR}\n"
    );
    assert_eq!((ended.status, ended.out.as_str(), ended.err), (Some(3), "", message));
}

/// Each way in which somebody else could decide what a hook of the system is, and part of the reason.
type Case = (&'static str, fn(&Tree, &Path), &'static str);

const UNTRUSTED: &[Case] = &[
    (
        "the file of another user",
        |_, file| give_away(file),
        "a.toml: refused: belongs to the untrusted uid 54321",
    ),
    (
        "a file of the group",
        |_, file| mode(file, 0o664),
        "a.toml: refused: its group may write to it; hint: chmod g-w ",
    ),
    ("a file of everybody", |_, file| mode(file, 0o646), "a.toml: refused: every user may write to it"),
    // Sticky means nothing for a file.
    (
        "a sticky file of everybody",
        |_, file| mode(file, 0o1666),
        "a.toml: refused: every user may write to it",
    ),
    (
        "a link of another user",
        |tree, file| {
            fs::rename(file, tree.root.join("usr/lib/a.toml")).expect("ours");
            symlink("/usr/lib/a.toml", file).expect("a link");
            give_away(file);
        },
        "a.toml: refused: belongs to the untrusted uid 54321",
    ),
    (
        "a mask of another user",
        |_, file| {
            fs::remove_file(file).expect("ours");
            symlink("/dev/null", file).expect("a link");
            give_away(file);
        },
        "a.toml: refused: belongs to the untrusted uid 54321",
    ),
    (
        "a link to the file of another user",
        |tree, file| {
            fs::rename(file, tree.root.join("usr/lib/a.toml")).expect("ours");
            give_away(&tree.root.join("usr/lib/a.toml"));
            symlink("/usr/lib/a.toml", file).expect("a link");
        },
        "usr/lib/a.toml: belongs to the untrusted uid 54321",
    ),
    (
        "a link through a directory of another user",
        |tree, file| {
            fs::create_dir(tree.root.join("opt")).expect("a directory");
            fs::rename(file, tree.root.join("opt/a.toml")).expect("ours");
            give_away(&tree.root.join("opt"));
            symlink("/opt/a.toml", file).expect("a link");
        },
        "/opt: belongs to the untrusted uid 54321",
    ),
    (
        "a FIFO",
        |_, file| {
            fs::remove_file(file).expect("ours");
            nix::unistd::mkfifo(file, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a FIFO");
        },
        "a.toml: refused: not a regular file",
    ),
    (
        "a directory",
        |_, file| {
            fs::remove_file(file).expect("ours");
            fs::create_dir(file).expect("a directory");
        },
        "a.toml: refused: not a regular file",
    ),
    (
        "a dangling link",
        |_, file| {
            fs::remove_file(file).expect("ours");
            symlink("/nothing", file).expect("a link");
        },
        "a.toml is a link to /nothing, which does not exist below ",
    ),
    (
        "a huge file",
        |_, file| {
            fs::File::options().write(true).open(file).and_then(|file| file.set_len(1 << 40)).expect("ours")
        },
        "a.toml: refused: larger than 64 KiB",
    ),
    (
        "a file that is not UTF-8",
        |_, file| fs::write(file, b"# \xff").expect("room"),
        "a.toml: refused: not UTF-8",
    ),
    (
        "a program of another user",
        |tree, _| give_away(&tree.root.join("usr/lib/hook")),
        "usr/lib/hook: belongs to the untrusted uid 54321",
    ),
    (
        "a program of the group",
        |tree, _| mode(&tree.root.join("usr/lib/hook"), 0o775),
        "usr/lib/hook: its group may write to it",
    ),
    (
        "a program that is not executable",
        |tree, _| mode(&tree.root.join("usr/lib/hook"), 0o644),
        "usr/lib/hook: is not an executable file; hint: chmod a+x ",
    ),
    (
        "a directory for a program",
        |tree, _| {
            fs::remove_file(tree.root.join("usr/lib/hook")).expect("ours");
            fs::create_dir(tree.root.join("usr/lib/hook")).expect("a directory");
        },
        "usr/lib/hook: is not an executable file",
    ),
    (
        "no program",
        |tree, _| fs::remove_file(tree.root.join("usr/lib/hook")).expect("ours"),
        "usr/lib/hook: does not exist",
    ),
    (
        "a link of another user to a program",
        |tree, _| {
            let path = tree.root.join("usr/lib/hook");
            fs::rename(&path, tree.root.join("usr/lib/real")).expect("ours");
            symlink("real", &path).expect("a link");
            give_away(&path);
        },
        "usr/lib/hook: a link of the untrusted uid 54321",
    ),
    (
        "a program in a directory of the group",
        |tree, _| mode(&tree.root.join("usr/lib"), 0o775),
        "usr/lib: its group may write to it",
    ),
    (
        "a relative program",
        |_, file| fs::write(file, VALID.replace("/usr", "usr")).expect("room"),
        "it has a relative path, which only a hook of an environment may have",
    ),
];

#[test]
fn what_only_root_decides_counts() {
    let place = Place::new();
    let tree = system(&place);
    register(&tree.root.join(PACKAGES), "a", VALID);
    assert_eq!(states(&list(&place, &tree, &["--json"])), ["a active"]);
}

#[test]
fn what_somebody_else_decides_is_refused_and_the_other_hooks_count() {
    if skipped_without_root("give files to another user") {
        return;
    }
    let mut wrong = Vec::new();
    for (what, spoil, reason) in UNTRUSTED {
        let place = Place::new();
        let tree = system(&place);
        let file = register(&tree.root.join(PACKAGES), "a", VALID);
        program(&tree.root.join("usr/bin/other"));
        register(&tree.root.join(PACKAGES), "b", &VALID.replace("/usr/lib/hook", "/usr/bin/other"));
        spoil(&tree, &file);
        let (ended, json) = (list(&place, &tree, &[]), list(&place, &tree, &["--json"]));
        let is_refused = ended.out.contains(reason) && ended.status == Some(1) && ended.took.as_secs() < 5;
        if !is_refused || states(&json) != ["a refused", "b active"] {
            wrong.push(format!("{what}: {ended:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_directory_in_which_others_may_write_registers_nothing() {
    if skipped_without_root("give directories to another user") {
        return;
    }
    for (path, spoil, reason) in [
        (PACKAGES, (|path| mode(path, 0o775)) as fn(&Path), "its group may write to it; hint: chmod g-w "),
        (PACKAGES, |path| mode(path, 0o777), "every user may write to it"),
        (PACKAGES, give_away, "belongs to the untrusted uid 54321"),
        ("usr/share/epcache", give_away, "belongs to the untrusted uid 54321"),
        ("usr/share", |path| mode(path, 0o775), "its group may write to it"),
    ] {
        let place = Place::new();
        let tree = system(&place);
        register(&tree.root.join(PACKAGES), "a", VALID);
        register(&tree.root.join(ADMINISTRATOR), "b", VALID);
        spoil(&tree.root.join(path));
        let ended = list(&place, &tree, &["--json"]);
        assert_eq!((states(&ended), ended.status), (vec!["b active".to_owned()], Some(3)), "{path}");
        let message = format!("epcache: error: {}: {reason}", tree.root.join(path).display());
        assert!(ended.err.starts_with(&message), "{ended:?}");
    }
    let place = Place::new();
    let tree = system(&place);
    fs::remove_dir(tree.root.join(PACKAGES)).expect("empty");
    symlink("/etc/epcache/hooks.d", tree.root.join(PACKAGES)).expect("a link");
    give_away(&tree.root.join(PACKAGES));
    let ended = list(&place, &tree, &[]);
    assert!(ended.status == Some(3) && ended.err.contains("a link of the untrusted uid 54321"), "{ended:?}");
}

#[test]
fn links_of_root_are_followed() {
    let place = Place::new();
    let tree = system(&place);
    let file = register(&tree.root.join("usr/lib"), "a", VALID);
    symlink("../../../lib/a.toml", tree.root.join(PACKAGES).join("b.toml")).expect("a link");
    fs::rename(tree.root.join("usr/lib/hook"), tree.root.join("usr/lib/real")).expect("ours");
    symlink("/usr/lib/real", tree.root.join("usr/lib/hook")).expect("a link");
    assert_eq!(states(&list(&place, &tree, &["--json"])), ["b active"]);
    fs::remove_file(file).expect("ours");
    assert_eq!(states(&list(&place, &tree, &["--json"])), ["b refused"]);
}

#[test]
fn a_name_must_be_one_and_a_directory_has_a_limit() {
    let place = Place::new();
    let tree = system(&place);
    let packages = tree.root.join(PACKAGES);
    for name in ["A", ".a", "a b", "\u{1b}"] {
        register(&packages, name, VALID);
        let ended = list(&place, &tree, &[]);
        assert!(ended.out.contains("refused: its name must have lower-case letters"), "{ended:?}");
        assert!(!ended.out.contains('\u{1b}'), "{ended:?}");
        fs::remove_file(packages.join(format!("{name}.toml"))).expect("ours");
    }
    for number in 0..1000 {
        register(&packages, &number.to_string(), VALID);
    }
    assert_eq!(states(&list(&place, &tree, &["--json"])).len(), 1000);
    register(&packages, "one-more", VALID);
    register(&tree.root.join(ADMINISTRATOR), "b", VALID);
    let ended = list(&place, &tree, &["--json"]);
    assert!(ended.err.contains("there are more than 1000 registrations in it, so none counts"), "{ended:?}");
    assert_eq!((states(&ended), ended.status), (vec!["b active".to_owned()], Some(3)));
}

#[test]
fn a_file_is_checked_where_it_counts_and_anywhere_else() {
    let place = Place::new();
    let check = |path: &Path| run(place.epcache(["hooks", "check"]).arg(path));
    let path = place.directory("here").join("a.toml");
    let text =
        "description = 'A cache'\ncommand = ['bin/x']\n[on]\ngroups = ['g', 'h*']\nevents = ['removed']\n";
    fs::write(&path, text).expect("room");
    let ended = check(&path);
    let p = path.display();
    let expected = format!(
        "{p}: valid: A cache
{p}: events: removed
{p}: distributions: any
{p}: groups: g, h*
{p}: counts only in an environment, because it has a relative path\n"
    );
    assert_eq!((ended.status, ended.out, ended.err.as_str()), (Some(0), expected, ""));

    fs::write(&path, text.replace("groups", "group")).expect("room");
    let ended = check(&path);
    let expected = format!("epcache: error: {p}: line 4: unknown key on.group; did you mean on.groups?\n");
    assert_eq!((ended.status, ended.out.as_str(), ended.err), (Some(1), "", expected));

    let other = path.with_file_name("A.toml");
    fs::write(&other, text).expect("room");
    let ended = check(&other);
    assert!(ended.status == Some(1) && ended.err.contains("A.toml: its name must have"), "{ended:?}");
    let ended = check(&path.with_file_name("none.toml"));
    assert!(ended.status == Some(3) && ended.err.contains("none.toml: does not exist"), "{ended:?}");
    let ended = check(path.parent().expect("a directory"));
    assert!(ended.status == Some(1) && !ended.err.is_empty(), "{ended:?}");

    // In a directory of registrations, the program is examined as well.
    let hooks = place.directory("venv/share/epcache/hooks.d");
    let file = register(&hooks, "a", text);
    let ended = check(&file);
    assert!(ended.status == Some(1) && ended.err.contains("venv/bin: does not exist"), "{ended:?}");
    program(&place.path().join("venv/bin/x"));
    assert_eq!(check(&file).status, Some(0));
    mode(&hooks, 0o775);
    let ended = check(&file);
    assert!(ended.status != Some(0) && ended.err.contains("its group may write to it"), "{ended:?}");
}

#[test]
fn a_file_of_another_user_is_checked_as_that_user() {
    if skipped_without_root("check the file of another user") {
        return;
    }
    let place = Place::new();
    let home = place.directory("home");
    let file = register(&home, "a", VALID);
    give_away(&home);
    give_away(&file);
    mode(&home, 0o700);
    let check = |path: &Path| run(place.epcache(["hooks", "check"]).arg(path));
    assert_eq!(check(&file).status, Some(0));
    // What its owner may not read, root does not read for them.
    fs::write(place.path().join("secret"), "description = 'secret'\n").expect("room");
    mode(&place.path().join("secret"), 0o600);
    fs::remove_file(&file).expect("ours");
    symlink(place.path().join("secret"), &file).expect("a link");
    give_away(&file);
    let ended = check(&file);
    assert!(ended.status == Some(3) && ended.err.contains("a link of the untrusted uid"), "{ended:?}");
}

/// A virtual environment with a hook, and its site directory.
fn environment(place: &Place) -> (PathBuf, PathBuf) {
    let site = place.directory("venv/lib/python3.13/site-packages");
    install(&site, "foo");
    let venv = place.path().join("venv");
    program(&venv.join("libexec/hook"));
    register(
        &venv.join("share/epcache/hooks.d"),
        "a",
        "description = 'A cache'\ncommand = ['libexec/hook', 'x']\n[sandbox]\nwrite = ['{site}', 'cache']\n",
    );
    (venv, site)
}

#[test]
fn a_hook_of_an_environment_counts_only_after_it_was_enabled() {
    let place = Place::new();
    let (venv, site) = environment(&place);
    let list = |options: &[&str]| run(place.epcache(["hooks", "list", "--venv"]).arg(&venv).args(options));
    let file = venv.join("share/epcache/hooks.d/a.toml");
    let ended = list(&[]);
    let expected =
        format!("{}: disabled: A cache; hint: epcache enable --hooks {}\n", file.display(), site.display());
    assert_eq!((ended.status, ended.out, ended.err.as_str()), (Some(0), expected, ""));

    let ended = run(place.epcache(["enable", "--hooks", "--venv"]).arg(&venv));
    assert_eq!(ended.out, format!("{}: enabled: hooks\n", site.display()), "{ended:?}");
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
    let pth = fs::read_to_string(site.join("epcache.pth")).expect("it is there");
    assert!(pth.lines().count() == 2 && pth.lines().all(|line| line.starts_with('#')), "{pth}");
    let ended = list(&[]);
    assert_eq!((ended.status, ended.out), (Some(0), format!("{}: active: A cache\n", file.display())));
    // Also by the site directory.
    assert_eq!(states(&run(place.epcache(["hooks", "list", "--json"]).arg(&site))), ["a active"]);

    // Another choice replaces this one, and the hint names what would be lost.
    fs::create_dir(site.join("epcache_startup")).expect("a directory");
    fs::write(site.join("epcache_startup/__init__.py"), "").expect("room");
    assert_eq!(run(place.epcache(["enable", "--accelerate", "--venv"]).arg(&venv)).status, Some(0));
    let ended = list(&[]);
    assert!(ended.out.contains("disabled: A cache; hint: epcache enable --accelerate --hooks "), "{ended:?}");
    let ended = run(place.epcache(["enable", "--accelerate", "--hooks", "--venv"]).arg(&venv));
    assert_eq!(ended.out, format!("{}: enabled: accelerate, hooks\n", site.display()), "{ended:?}");
    assert_eq!(states(&list(&["--json"])), ["a active"]);
    let pth = fs::read_to_string(site.join("epcache.pth")).expect("it is there");
    assert!(pth.lines().count() == 3 && pth.ends_with(".enable(\"accelerate\")\n"), "{pth}");

    let before = everything_below(&venv);
    assert_eq!(run(place.epcache(["disable", "--venv"]).arg(&venv)).status, Some(0));
    assert_eq!(states(&list(&["--json"])), ["a disabled"]);
    assert_eq!(before.len() - 1, everything_below(&venv).len());
}

#[test]
fn a_place_without_hooks_of_its_own_is_not_enabled() {
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    let ended = run(place.epcache(["enable", "--hooks"]).arg(&site));
    assert!(ended.status == Some(3) && ended.err.contains("has no hooks of its own"), "{ended:?}");
    assert!(!site.join("epcache.pth").exists());
    let ended = run(place.epcache(["hooks", "list"]).arg(&site));
    assert!(ended.status == Some(3) && ended.err.contains("has no hooks of its own"), "{ended:?}");
}

/// A path below an environment, the reason for a refusal, and what is done to the path.
type Spoiled = (&'static str, &'static str, fn(&Path));

fn give_to_another(path: &Path) {
    chown(path, Some(UNTRUSTED_UID + 1), None).expect("root may");
}

#[test]
fn only_the_owner_of_an_environment_decides_about_its_hooks() {
    if skipped_without_root("give files to another user") {
        return;
    }
    let changes: [Spoiled; 6] = [
        ("share/epcache/hooks.d/a.toml", "belongs to the untrusted uid 54322", give_to_another),
        ("libexec/hook", "belongs to the untrusted uid 54322", give_to_another),
        ("libexec", "its group may write to it", |path| mode(path, 0o775)),
        ("share", "belongs to the untrusted uid 54322", give_to_another),
        ("lib/python3.13/site-packages/epcache.pth", "belongs to the untrusted uid 54322", give_to_another),
        ("lib/python3.13/site-packages", "its group may write to it", |path| mode(path, 0o775)),
    ];
    for (path, reason, spoil) in changes {
        let place = Place::new();
        let (venv, _) = environment(&place);
        everything_below(&venv).into_keys().for_each(|path| give_away(&path));
        // Root asks, and the owner's process looks.
        assert_eq!(run(place.epcache(["enable", "--hooks", "--venv"]).arg(&venv)).status, Some(0));
        let list = || run(place.epcache(["hooks", "list", "--json", "--venv"]).arg(&venv));
        assert_eq!(states(&list()), ["a active"], "{path}");
        spoil(&venv.join(path));
        let ended = list();
        assert_ne!(ended.status, Some(0), "{path}: {ended:?}");
        assert!(!ended.out.contains("\"active\""), "{path}: {ended:?}");
        assert!((ended.out.clone() + &ended.err).contains(reason), "{path}: {ended:?}");
    }
}

#[test]
fn the_environment_nearby_is_listed_with_the_system() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (venv, _) = environment(&place);
    let ended = run(place.epcache(["hooks", "list", "--json"]).env("VIRTUAL_ENV", &venv));
    assert!(states(&ended).contains(&"a disabled".to_owned()), "{ended:?}");
    let ended = run(place.epcache(["hooks", "list"]).env("VIRTUAL_ENV", place.path()));
    assert!(ended.status == Some(3) && ended.err.contains("is not a Python environment"), "{ended:?}");
}

#[test]
fn the_documented_examples_are_valid() {
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/hooks.md")).expect("a page");
    let example = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).expect("an example");
        rest.split("```").next().expect("its end").to_owned()
    };
    let place = Place::new();
    let path = register(place.path(), "example", &example("toml"));
    let ended = run(place.epcache(["hooks", "check"]).arg(path));
    assert!(ended.status == Some(0) && ended.out.contains("groups: console_scripts"), "{ended:?}");

    let line = example("json");
    let read: Change = serde_json::from_str(&line).expect("a change");
    let mut written = Vec::new();
    write_lines(&[read], &mut written).expect("room");
    assert_eq!(String::from_utf8(written).expect("UTF-8"), line);
}
