//! Names chosen to confuse a terminal, a log or a line-based format.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::support::program::{Place, run};
use crate::support::tree::{indexed, install};

/// A newline, a terminal escape sequence, right-to-left text, a tab, DEL, invisible characters.
const ODD: &str = "a\nb\x1b[31m\u{202e}c\td\x7f\u{200b}\u{2028}\u{85}%41";

fn is_clean(text: &str) -> bool {
    let odd = ['\x1b', '\u{202e}', '\t', '\x7f', '\u{200b}', '\u{2028}', '\u{85}', '\r'];
    !text.contains(odd) && !text.contains("a\nb")
}

#[test]
fn unusual_names_are_escaped_in_all_output() {
    let place = Place::new();
    let site = place.directory(&format!("site {ODD}"));
    let directory = install(&site, ODD);
    fs::write(directory.join("METADATA"), "Name: x\x1b\u{202e}\nVersion: \u{7f}1\u{200b}\n").expect("room");
    fs::write(directory.join("entry_points.txt"), "[g\u{202e}]\n\x1bx = m:\x7f\u{200b}f\n").expect("room");
    let bad = install(&site, &format!("bad {ODD}"));
    fs::write(bad.join("entry_points.txt"), "[g]\nnonsense\n").expect("room");
    install(&site, &format!("~{ODD}"));
    for arguments in [
        &["refresh", "--dry-run"][..],
        &["status"],
        &["verify"],
        &["refresh"],
        &["list", "--site"],
        &["status"],
        &["verify"],
    ] {
        let ended = run(place.epcache(arguments).arg(&site));
        assert!(!ended.out.is_empty(), "{arguments:?}: {ended:?}");
        assert!(is_clean(&ended.out) && is_clean(&ended.err), "{arguments:?}: {ended:?}");
    }
    let missing = place.path().join(format!("missing {ODD}"));
    let file = place.path().join(format!("file {ODD}"));
    fs::write(&file, "").expect("room");
    for path in [&missing, &file] {
        for arguments in [
            &["refresh"][..],
            &["status"],
            &["verify"],
            &["refresh", "--venv"],
            &["refresh", "--python"],
            &["refresh", "--root"],
        ] {
            let ended = run(place.epcache(arguments).arg(path));
            assert!(is_clean(&ended.out) && is_clean(&ended.err), "{arguments:?}: {ended:?}");
            assert!(ended.status == Some(3) || arguments == ["status"], "{arguments:?}: {ended:?}");
        }
    }
}

#[test]
fn an_index_with_unusual_names_is_read_back() {
    let place = Place::new();
    let site = place.directory("site");
    let odd = format!("{ODD}-1.dist-info");
    install(&site, ODD);
    fs::create_dir(site.join(OsStr::from_bytes(b"\xff\n\xfe-1.dist-info"))).expect("a directory");
    let refresh = || {
        let ended = run(place.epcache(["refresh", "--json"]).arg(&site));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.out.lines().count(), 1, "{ended:?}");
        serde_json::from_str::<Value>(&ended.out).expect("JSON")
    };
    let first = refresh();
    assert_eq!(first["added"].as_array().map(Vec::len), Some(2));
    assert!(first["added"].as_array().expect("a list").contains(&Value::from(odd.as_str())), "{first}");
    let second = refresh();
    assert_eq!((second["read"].as_array().map(Vec::len), &second["carried"]), (Some(0), &Value::from(2)));
    assert!(indexed(&site.join(".epcache/index")).contains(&odd));
    let listed = run(place.epcache(["list", "--json", "--site"]).arg(&site));
    let rows: Value = serde_json::from_str(&listed.out).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(0), "its entry point is opaque, because of the new line");
}
