//! Broken configurations.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::program::{Place, give_away, run, skipped_without_root};
use crate::support::tree::{Tree, everything_below, indexed, install};

#[test]
fn a_broken_configuration_is_reported_with_its_line_and_nothing_is_written() {
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "foo");
    for (text, message) in [
        (
            "# ours\n\nsite-directorys = []\n",
            "config.toml:3: unknown key site-directorys; did you mean site-directories?",
        ),
        ("site-directories = [\n  '/usr/lib'\n", "config.toml:"),
        ("site-directories = ['lib']\n", "config.toml:1: lib: must be an absolute path without .."),
        ("site-directories = '/usr/lib'\n", "config.toml:1: site-directories must be a list of strings"),
        ("\"site\\u001bx\" = 1\n", "unknown key site\\u{1b}x"),
    ] {
        let path = tree.configure(text);
        let before = everything_below(&tree.root);
        for command in ["refresh", "status", "list", "verify"] {
            let ended =
                run(place.epcache([command, "--system", "--root", tree.root.to_str().expect("UTF-8")]));
            assert_eq!(ended.status, Some(3), "{ended:?}");
            assert!(ended.err.contains(message), "{text}: {ended:?}");
            assert!(ended.err.contains(path.to_str().expect("UTF-8")), "{ended:?}");
            assert!(!ended.err.contains('\x1b'), "{ended:?}");
        }
        assert_eq!(everything_below(&tree.root), before, "{text}");
    }
}

#[test]
fn a_configuration_must_be_a_regular_file() {
    let place = Place::new();
    let tree = Tree::new(&place);
    place.directory("tree/etc/epcache/config.toml");
    let ended = run(place.epcache(["refresh", "--system", "--root", tree.root.to_str().expect("UTF-8")]));
    assert!(ended.status == Some(3) && ended.err.contains("not a regular file"), "{ended:?}");
}

#[test]
fn a_fifo_in_place_of_a_configuration_does_not_block() {
    let fifo = |path: &Path| {
        let _ = fs::remove_file(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a FIFO");
    };
    for name in ["etc/epcache/config.toml", "etc/passwd"] {
        let place = Place::new();
        let tree = Tree::new(&place);
        fifo(&tree.root.join(name));
        for command in ["refresh", "status", "list"] {
            let ended = run(place.epcache([command, "--system", "--root"]).arg(&tree.root));
            assert!(ended.took < Duration::from_secs(5), "{ended:?}");
            assert!(ended.status == Some(3) || name == "etc/passwd", "{ended:?}");
        }
        let ended = run(place.epcache(["trigger", "dpkg"]).env("DPKG_ROOT", &tree.root));
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let place = Place::new();
    fifo(&place.path().join("fifo"));
    for option in ["--venv", "--python", "--root"] {
        let ended = run(place.epcache(["refresh", option]).arg(place.path().join("fifo")));
        assert!(ended.status == Some(3) && ended.err.contains("fifo"), "{option}: {ended:?}");
    }
}

#[test]
fn root_ignores_a_configuration_owned_by_another_user() {
    if skipped_without_root("find the configuration of another user") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    give_away(&tree.configure("site-directories = ['/usr/lib/python3/dist-packages']\n"));
    let ended = run(place.epcache(["refresh", "--system", "--root", tree.root.to_str().expect("UTF-8")]));
    assert!(ended.status == Some(3) && ended.err.contains("not owned by root"), "{ended:?}");
}

#[test]
fn the_administrator_configuration_overrides_the_packaged_one() {
    if skipped_without_root("write system-wide indexes") {
        return;
    }
    let place = Place::new();
    let tree = Tree::new(&place);
    let other = place.directory("tree/opt/site");
    install(&other, "other");
    install(&tree.site, "foo");
    place.directory("tree/usr/lib/epcache");
    fs::write(tree.root.join("usr/lib/epcache/config.toml"), "site-directories = ['/nowhere']\n")
        .expect("room");
    let refresh =
        || run(place.epcache(["refresh", "--system", "--root", tree.root.to_str().expect("UTF-8")]));
    let ended = refresh();
    let message = "epcache: error: no site directories found; looked for system-wide ones (/nowhere); hint: ";
    assert!(ended.status == Some(3) && ended.err.contains(message), "{ended:?}");
    tree.configure("site-directories = ['/opt/s*']\n");
    let ended = refresh();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(indexed(&tree.root.join("var/cache/epcache/opt/site/index")), ["other-1.dist-info"]);
    assert!(!tree.index.exists());
}
