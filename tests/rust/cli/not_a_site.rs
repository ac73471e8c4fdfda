//! What is named is no site directory, or nothing is found: an error that says what helps, and nothing else.

use std::fs;

use crate::support::program::{Place, run};
use crate::support::tree::{everything_below, install, text};

const COMMANDS: [&[&str]; 6] = [
    &["refresh"],
    &["refresh", "--seal"],
    &["status"],
    &["verify"],
    &["list", "--json", "--site"],
    &["disable"],
];

#[test]
fn another_directory_is_refused_and_stays_as_it_is() {
    let place = Place::new();
    let other = place.directory("etc");
    fs::write(other.join("passwd"), "").expect("room");
    let venv = place.directory("a venv");
    fs::write(venv.join("pyvenv.cfg"), "").expect("room");
    let site = place.directory("a venv/lib/python3.13/site-packages");
    install(&site, "foo");
    let file = place.path().join("file");
    fs::write(&file, "").expect("room");
    let hint_of_environment = format!("--venv '{}'", venv.display());
    let before = everything_below(place.path());
    for command in COMMANDS {
        for (path, why, hint) in [
            (
                &other,
                "is not a site directory: ",
                "name a site-packages directory, or an environment with --venv",
            ),
            (&venv, "is not a site directory: ", &hint_of_environment),
            (&file, "is not a directory", "name a site-packages directory, or an environment with --venv"),
        ] {
            let ended = run(place.epcache(command).arg(path));
            assert_eq!(ended.status, Some(3), "{command:?}: {ended:?}");
            let message = format!("epcache: error: {}: {why}", path.display());
            assert!(ended.err.contains(&message), "{command:?}: {ended:?}");
            assert!(ended.err.ends_with(&format!("; hint: {hint}\n")), "{command:?}: {ended:?}");
            assert!(["", "[]\n"].contains(&&*ended.out), "{command:?}: {ended:?}");
            assert_eq!(everything_below(place.path()), before, "{command:?}");
        }
    }
}

#[test]
fn a_directory_is_a_site_directory_by_its_name_its_content_or_its_index() {
    let place = Place::new();
    let (named, filled) = (place.directory("site-packages"), place.directory("target"));
    let debian = place.directory("dist-packages");
    let distribution = install(&filled, "foo");
    for site in [&named, &debian, &filled] {
        assert_eq!(run(place.epcache(["refresh"]).arg(site)).status, Some(0));
    }
    // It is still one after the last distribution was uninstalled.
    fs::remove_dir_all(distribution).expect("ours");
    let ended = run(place.epcache(["refresh"]).arg(&filled));
    assert!(ended.status == Some(0) && ended.out.contains("1 removed"), "{ended:?}");
}

#[test]
fn the_others_that_are_named_are_done() {
    let place = Place::new();
    let (other, site) = (place.directory("other"), place.directory("site"));
    install(&site, "foo");
    let ended = run(place.epcache(["list", "--site", text(&other), "--site", text(&site)]));
    assert!(ended.status == Some(3) && ended.out.contains("foo = m:f"), "{ended:?}");
}

#[test]
fn nothing_found_is_an_error_that_says_what_was_looked_for() {
    let place = Place::new();
    for (arguments, looked_for) in [
        (&["refresh", "--seal", "--user"][..], "your own (pip install --user)"),
        (&["list", "--json", "--user"], "your own (pip install --user)"),
        (&["verify", "--user"], "your own (pip install --user)"),
        (&["status", "--user"], "your own (pip install --user)"),
        (&["status", "--root", text(place.path())], "system-wide ones (/usr/lib/python3/dist-packages, "),
    ] {
        let ended = run(place.epcache(arguments));
        assert_eq!(ended.status, Some(3), "{arguments:?}: {ended:?}");
        let message = format!("epcache: error: no site directories found; looked for {looked_for}");
        assert!(ended.err.contains(&message), "{arguments:?}: {ended:?}");
        assert!(ended.err.ends_with("; hint: name one, or an environment with --venv\n"), "{ended:?}");
    }
}
