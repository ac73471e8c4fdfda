//! What commands work on when nothing is named.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::program::{
    Ended, Place, UNTRUSTED_UID, give_away, is_root, restore_signals, run, skipped_without_root,
};
use crate::support::tree::{Tree, everything_below, install};

/// Another user without privileges.
const OTHER_UID: u32 = 54322;

/// The site directory of a new environment of the untrusted user.
fn environment(place: &Place, name: &str) -> PathBuf {
    let site = place.directory(&format!("{name}/lib/python3.13/site-packages"));
    install(&site, "foo");
    fs::create_dir(site.join("epcache_startup")).expect("a directory");
    fs::write(site.join("epcache_startup/__init__.py"), "").expect("room");
    everything_below(&place.path().join(name)).keys().for_each(|path| give_away(path));
    site
}

/// A copy of the program, made by another process: see `Place::epcache_as_untrusted_user`.
fn copy_program(to: &Path) {
    fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_epcache")).arg(to).status();
    assert!(copied.expect("cp").success(), "room for the program");
}

/// The same command, but `program` is run.
fn by_program(program: &Path, command: &Command) -> Command {
    let mut other = Command::new(program);
    restore_signals(&mut other);
    other.args(command.get_args()).env_clear().current_dir(command.get_current_dir().expect("it is set"));
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other
}

/// The site directories in the lines or the array of `--json`.
fn sites(ended: &Ended) -> Vec<String> {
    let values = serde_json::Deserializer::from_str(&ended.out).into_iter::<Value>();
    let mut found: Vec<String> = values
        .map(|value| value.unwrap_or_else(|error| panic!("{error}: {ended:?}")))
        .flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value]))
        .map(|value| value["site"].as_str().expect("a site directory").to_owned())
        .collect();
    found.dedup();
    found
}

#[test]
fn every_command_finds_the_environment_nearby() {
    let place = Place::new();
    let project = place.directory("project/deep");
    let site = environment(&place, "project/.venv");
    for arguments in [
        &["refresh", "--json"][..],
        &["status", "--json"],
        &["list", "--json"],
        &["enable", "--pip-hook", "--json"],
        &["disable", "--json"],
    ] {
        let ended = run(place.epcache_as_untrusted_user(arguments).current_dir(&project));
        // `status` shows the other ones that are known as well.
        assert_eq!(
            sites(&ended).first(),
            Some(&site.to_string_lossy().into_owned()),
            "{arguments:?}: {ended:?}"
        );
    }
    let ended = run(place.epcache_as_untrusted_user(["verify"]).current_dir(&project));
    assert!(ended.status == Some(0) && ended.out.starts_with(&*site.to_string_lossy()), "{ended:?}");
}

#[test]
fn the_nearest_environment_is_found_as_by_uv() {
    let place = Place::new();
    let deep = place.directory("project/deep");
    let at = |name: &str| place.path().join(name);
    let names = ["active", "conda", "uv", "project/deep/.venv", "project/.venv", "base", "home/.local"];
    let sites_by_name = names.map(|name| environment(&place, name));
    let variables =
        [("VIRTUAL_ENV", at("active")), ("CONDA_PREFIX", at("conda")), ("UV_PROJECT_ENVIRONMENT", at("uv"))];
    let expect = |command: &Command, name: &str| {
        let found = names.iter().position(|other| *other == name).expect("one of them");
        let mut command = by_program(Path::new(command.get_program()), command);
        if is_root() {
            std::os::unix::process::CommandExt::uid(&mut command, UNTRUSTED_UID);
        }
        let ended = run(command);
        assert_eq!(sites(&ended), [sites_by_name[found].to_str().expect("UTF-8")], "{name}: {ended:?}");
    };
    let command = || {
        let mut command = place.epcache_as_untrusted_user(["refresh", "--dry-run", "--json"]);
        command.current_dir(&deep);
        command
    };
    for (number, name) in ["active", "conda", "uv", "project/deep/.venv"].into_iter().enumerate() {
        expect(command().envs(variables.iter().skip(number).cloned()), name);
    }
    // Conda activates its base in every shell.
    let base = [("CONDA_PREFIX", at("base")), ("CONDA_DEFAULT_ENV", PathBuf::from("base"))];
    expect(command().envs(base.clone()), "project/deep/.venv");
    // A relative path is no active environment.
    expect(command().env("VIRTUAL_ENV", "active"), "project/deep/.venv");
    fs::remove_dir_all(deep.join(".venv")).expect("ours");
    expect(&command(), "project/.venv");
    fs::remove_dir_all(at("project/.venv")).expect("ours");
    expect(command().envs(base), "base");
    expect(&command(), "home/.local");
    // What a variable names must be an environment.
    let ended = run(command().env("VIRTUAL_ENV", &deep));
    assert!(ended.status == Some(3) && ended.err.contains("is not a Python environment"), "{ended:?}");
}

#[test]
fn the_prefix_of_the_program_itself_is_found() {
    let place = Place::new();
    let refresh = |program: &Path, path: &str| {
        let mut command = place.epcache(["refresh", "--dry-run", "--json"]);
        command.env("PATH", path);
        let mut command = by_program(program, &command);
        if is_root() {
            std::os::unix::process::CommandExt::uid(&mut command, UNTRUSTED_UID);
        }
        run(command)
    };
    // An environment that is not active; the interpreter of an image; PyPy; Debian's, with packages of root's.
    for (prefix, packages) in [
        ("venv", "python3.13/site-packages"),
        ("local", "python3.12/site-packages"),
        ("pypy", "pypy3.11/site-packages"),
        ("debian", "python3.13/dist-packages"),
    ] {
        let site = place.directory(&format!("{prefix}/lib/{packages}"));
        install(&site, "foo");
        let program = place.path().join(prefix).join("bin/epcache");
        copy_program(&program);
        let found = [site.to_str().expect("UTF-8")];
        assert_eq!(sites(&refresh(&program, "/nowhere")), found);
        let bin = place.path().join(prefix).join("bin");
        assert_eq!(sites(&refresh(Path::new("epcache"), bin.to_str().expect("UTF-8"))), found);
        // As pipx and uv link it.
        let other = place.directory(&format!("home/{prefix}/bin"));
        symlink(&program, other.join("epcache")).expect("a link");
        let ended = refresh(&other.join("epcache"), "/nowhere");
        assert!(ended.status == Some(3) && ended.out.is_empty(), "{ended:?}");
        let ended = run(by_program(&program, &place.epcache(["run", "--", "true"])));
        assert!(ended.status == Some(0) && site.join(".epcache/index").exists(), "{ended:?}");
    }
}

#[test]
fn without_anything_else_the_interpreter_on_the_path_counts() {
    let place = Place::new();
    let site = place.directory("local/lib/python3.12/site-packages");
    install(&site, "foo");
    let python = place.directory("local/bin").join("python3");
    fs::write(&python, "").expect("room");
    let refresh = |path: &Path| run(place.epcache_as_untrusted_user(["list", "--json"]).env("PATH", path));
    assert_eq!(sites(&refresh(&place.path().join("local/bin"))), [site.to_str().expect("UTF-8")]);
    let ended = refresh(Path::new("/nowhere"));
    assert_eq!((ended.status, &*ended.out), (Some(3), "[]\n"), "{ended:?}");
    for looked_for in ["VIRTUAL_ENV", ".venv", "your own (pip install --user)", "python3: no such program"] {
        assert!(ended.err.contains(looked_for), "{ended:?}");
    }
}

#[test]
fn the_interpreter_of_an_image_is_found_in_its_tree() {
    if skipped_without_root("own a tree") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    let site = place.directory("tree/usr/local/lib/python3.12/site-packages");
    install(&site, "foo");
    fs::create_dir_all(tree.root.join("usr/local/bin")).expect("a directory");
    fs::write(tree.root.join("usr/local/bin/python3.12"), "").expect("room");
    symlink("python3.12", tree.root.join("usr/local/bin/python3")).expect("a link");
    let refresh = || run(place.epcache(["refresh", "--json", "--root"]).arg(&tree.root));
    assert_eq!(sites(&refresh()), [tree.site.to_str().expect("UTF-8")], "the directories of the system");
    fs::remove_dir(&tree.site).expect("ours");
    let ended = refresh();
    assert_eq!(sites(&ended), [site.to_str().expect("UTF-8")], "{ended:?}");
    assert!(ended.status == Some(0) && ended.out.contains("\"sealed\":true"), "{ended:?}");
}

#[test]
fn nothing_of_another_user_is_found() {
    if skipped_without_root("be the victim") {
        return;
    }
    let place = Place::new();
    let (project, deep) = (place.directory("project"), place.directory("project/deep"));
    let site = environment(&place, "project/.venv");
    let give = |uid| {
        for path in everything_below(&project).into_keys() {
            lchown(path, Some(uid), Some(uid)).expect("root may");
        }
    };
    give(UNTRUSTED_UID);
    // A command that fails where it does not find it, on any machine.
    let finds = |sudo: Option<u32>| {
        let mut command = place.epcache(["disable", "--json"]);
        let ended = run(command.current_dir(&deep).envs(sudo.map(|uid| ("SUDO_UID", uid.to_string()))));
        assert_eq!(ended.status == Some(3), ended.out.is_empty(), "{ended:?}");
        ended.out.contains(site.to_str().expect("UTF-8"))
    };
    assert!(!finds(None), "another user's");
    assert!(!finds(Some(OTHER_UID)), "a third user's");
    assert!(finds(Some(UNTRUSTED_UID)), "that of the user who called sudo");
    give(0);
    assert!(finds(None), "root's");
    fs::set_permissions(&project, Permissions::from_mode(0o1777)).expect("ours");
    assert!(!finds(None), "everybody may write there");
    fs::set_permissions(&project, Permissions::from_mode(0o755)).expect("ours");
    lchown(&deep, Some(OTHER_UID), None).expect("root may");
    assert!(!finds(None), "below a directory of another user");
}

#[test]
fn enabling_needs_an_environment() {
    let place = Place::new();
    // The caller's own directory, which other commands would take.
    environment(&place, "home/.local");
    for arguments in [&["enable", "--accelerate"][..], &["disable"]] {
        let ended = run(place.epcache_as_untrusted_user(arguments));
        assert_eq!((ended.status, &*ended.out), (Some(3), ""), "{ended:?}");
        assert!(
            ended.err.contains("no site directories found; looked for an environment (VIRTUAL_ENV"),
            "{ended:?}"
        );
    }
}
