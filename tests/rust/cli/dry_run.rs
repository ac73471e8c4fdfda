//! `--dry-run`, `status`, `list` and `verify` write nothing at all.

use std::fs;

use crate::support::program::{Place, is_root, run};
use crate::support::tree::{Tree, everything_below, install, names};

#[test]
fn nothing_is_written() {
    let place = Place::new();
    let tree = Tree::new(&place);
    install(&tree.site, "system");
    let own = place.directory("own");
    let foo = install(&own, "foo");
    place.directory("home");
    for state in ["without an index", "with an index", "with one that is stale", "with one that is torn"] {
        match state {
            "with an index" => assert_eq!(run(place.epcache(["refresh"]).arg(&own)).status, Some(0)),
            "with one that is stale" => {
                fs::write(foo.join("entry_points.txt"), "[g]\nnew = m\n").expect("room")
            }
            "with one that is torn" => {
                fs::write(own.join(".epcache/index"), "epcache-index 1\n").expect("room")
            }
            _ => {}
        }
        let before = everything_below(place.path());
        let root = tree.root.to_str().expect("UTF-8");
        for arguments in
            [&["refresh", "--dry-run", "--json"][..], &["status"], &["list", "--site"], &["verify"]]
        {
            let ended = run(place.epcache(arguments).arg(&own));
            assert!(matches!(ended.status, Some(0 | 1)), "{ended:?}");
            if is_root() {
                let system = arguments.iter().filter(|part| **part != "--site");
                let ended = run(place.epcache(system).args(["--system", "--root", root]));
                assert!(matches!(ended.status, Some(0 | 1)), "{ended:?}");
            }
        }
        assert_eq!(everything_below(place.path()), before, "{state}");
    }
    let ended = run(place.epcache(["refresh", "--dry-run", "--json"]).arg(&own));
    assert_eq!(names(&ended.out, "added"), ["foo-1.dist-info"]);
}

#[test]
fn nothing_is_written_without_write_permission() {
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    let before = everything_below(&site);
    let ended = run(place.epcache_as_untrusted_user(["refresh", "--dry-run"]).arg(&site));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(everything_below(&site), before);
    assert!(!place.path().join("home").exists());
}
