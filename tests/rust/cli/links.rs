//! Metadata behind links, as uv and stow make them: not followed for root, and not left out in silence.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::{Place, is_root, run};
use crate::support::tree::install;

/// How a distribution can be behind links, from one place to another.
const LINKS: [fn(&Path, &Path); 3] = [
    // Each file, as uv.
    |from, to| {
        fs::create_dir(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a listing").flatten() {
            symlink(entry.path(), to.join(entry.file_name())).expect("a link");
        }
    },
    // The directory, as stow and Nix.
    |from, to| symlink(from, to).expect("a link"),
    // Only what has the entry points.
    |from, to| {
        fs::create_dir(to).expect("a directory");
        fs::copy(from.join("METADATA"), to.join("METADATA")).expect("room");
        symlink(from.join("entry_points.txt"), to.join("entry_points.txt")).expect("a link");
    },
];

#[test]
fn metadata_behind_links_is_neither_fresh_nor_left_out_in_silence() {
    for link in LINKS {
        let place = Place::new();
        let (site, store) = (place.directory("site"), place.directory("store"));
        install(&site, "seen");
        link(&install(&store, "foo"), &site.join("foo-1.dist-info"));
        // Sealed, since the others could be unsettled for being young.
        assert_eq!(run(place.epcache(["refresh", "--seal"]).arg(&site)).status, Some(0));
        let ended = run(place.epcache(["status", "--json"]).arg(&site));
        let found: Value = serde_json::from_str(&ended.out).expect("JSON");
        assert!(ended.status == Some(1) && found[0]["state"] == "unsettled", "{ended:?}");
        assert!(ended.out.contains("1 distributions are behind symbolic links"), "{ended:?}");
        assert_eq!(found[0]["hint"], "install without links (UV_LINK_MODE=copy)", "{ended:?}");
        let user = run(place.epcache_as_untrusted_user(["list", "--site"]).arg(&site));
        assert!(user.status == Some(0) && user.out.contains("foo = m:f"), "{user:?}");

        let list = |arguments: &[&str]| {
            let ended = run(place.epcache(["list", "--json", "--site"]).arg(&site).args(arguments));
            let rows: Vec<Value> = serde_json::from_str(&ended.out).expect("JSON");
            (ended, rows)
        };
        let (ended, rows) = list(&[]);
        assert!(rows.iter().any(|row| row["name"] == "seen"), "{ended:?}");
        if is_root() {
            let unknown = rows.iter().find(|row| row["distribution"] == "foo").expect("a row");
            let expected = [
                ("group", Value::Null),
                ("name", Value::Null),
                ("error", json!("behind a symbolic link, which is not followed for root")),
            ];
            expected.iter().for_each(|(key, value)| assert_eq!(&unknown[key], value, "{key}: {ended:?}"));
            assert!(
                ended.status == Some(3) && ended.err.contains("1 distributions are not listed in full"),
                "{ended:?}"
            );
            let text = run(place.epcache(["list", "--site"]).arg(&site));
            assert_eq!((text.status, text.out.lines().count()), (Some(3), 1), "{text:?}");
            assert_eq!(list(&["--dist", "Foo"]).0.status, Some(3));
        } else {
            assert!(ended.status == Some(0) && rows.iter().any(|row| row["name"] == "foo"), "{ended:?}");
        }
        assert_eq!(list(&["--dist", "seen"]).0.status, Some(0));
    }
}
