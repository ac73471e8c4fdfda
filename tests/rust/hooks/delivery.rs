//! What hooks are given after something went wrong, and by which commands.

use std::fs;

use super::{Environment, environments};
use crate::confinement::kernel;
use crate::support::program::{is_root, run};
use crate::support::tree::text;

const SHOW: &str = "#!/bin/sh\necho \"everything: $EPCACHE_EVERYTHING\"\ncat\n";

/// The names in what the hook printed, with their events.
fn given(environment: &Environment, hook: &str) -> Vec<String> {
    let output = environment.output(hook);
    let change = |line: &str| {
        let change: serde_json::Value = serde_json::from_str(line).expect("JSON");
        format!(
            "{} {}",
            change["event"].as_str().expect("a text"),
            change["distribution"].as_str().expect("a text")
        )
    };
    output.lines().skip(1).map(change).collect()
}

#[test]
fn after_damage_to_the_journal_a_hook_is_given_everything() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        environment.register("show", "", SHOW);
        environment.install("foo");
        assert_eq!(environment.refresh().err, "");
        assert_eq!(given(&environment, "show"), ["added foo"]);
        let journal = environment.site.join(".epcache/hook-journal");
        for damage in ["", "{\"version\":1,", "{\"version\":2,\"hooks\":{}}", "not JSON"] {
            fs::write(&journal, damage).expect("it is there");
            environment.give_away();
            let ended = environment.refresh();
            assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{damage}: {ended:?}");
            assert_eq!(given(&environment, "show"), ["added base", "added foo"], "{damage}");
            assert!(environment.output("show").starts_with("everything: 1\n"), "{damage}");
            assert!(environment.is_done("show"), "{damage}");
        }
    }
}

#[test]
fn a_journal_that_can_not_be_written_keeps_no_change_from_a_hook_and_no_index_from_being_right() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        environment.register(
            "show",
            "[sandbox]\nwrite = ['cache']\n",
            "#!/bin/sh\ncat >> $EPCACHE_CACHE/log\n",
        );
        environment.install("foo");
        let journal = environment.site.join(".epcache/hook-journal");
        fs::create_dir(&journal).expect("there is none");
        environment.give_away();
        let ended = environment.refresh();
        assert!(ended.status == Some(0) && ended.err.contains("hook-journal: can't write: "), "{ended:?}");
        assert!(ended.err.contains(": hooks may be run again: "), "{ended:?}");
        let log = fs::read_to_string(environment.site.join(".epcache/hook-cache/show/log")).expect("it ran");
        assert!(log.contains("\"foo\"") && log.lines().count() == 1, "{log}");
        let verified = run(environment.place.epcache(["verify", text(&environment.site)]));
        assert_eq!(verified.status, Some(0), "{verified:?}");
    }
}

#[test]
fn the_owner_runs_the_hooks_of_an_environment_without_root() {
    if !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(true);
    environment.register(
        "show",
        "[sandbox]\nwrite = ['cache']\n",
        "#!/bin/sh\necho\ncat\nid -u >&2\necho x > $EPCACHE_CACHE/made\n",
    );
    environment.install("foo");
    let own = |words: &[&str]| run(environment.place.epcache_as_untrusted_user(words));
    let ended = own(&["refresh", text(&environment.site)]);
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?} {}", environment.journal());
    assert!(environment.output("show").contains("\"foo\""));
    if is_root() {
        assert!(environment.output("show").ends_with("\n54321\n"), "{}", environment.journal());
    }
    assert!(environment.site.join(".epcache/hook-cache/show/made").exists());
    // Another user has an index of their own, and runs none of it.
    if is_root() {
        let root = Environment::new(false);
        root.register("show", "", SHOW);
        root.install("foo");
        let home = root.place.directory("home");
        crate::support::program::give_away(&home);
        let ended = run(root.place.epcache_as_untrusted_user(["refresh", text(&root.site)]));
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert_eq!(root.journal(), serde_json::json!({}));
    }
}

#[test]
fn hooks_run_after_a_command_that_installs_something() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        environment.register("show", "", SHOW);
        let metadata = "Metadata-Version: 2.1\\nName: new\\nVersion: 1\\n";
        let directory = environment.site.join("new-1.dist-info");
        let install = format!("mkdir {0}; printf '{metadata}' > {0}/METADATA; exit 5", text(&directory));
        let ended =
            run(environment.place.epcache(["run", text(&environment.site), "--", "sh", "-c", &install]));
        assert_eq!((ended.status, ended.err.as_str()), (Some(5), ""), "{ended:?}");
        assert_eq!(given(&environment, "show"), ["added new"]);
        // In the tree of another system, nothing runs.
        environment.install("foo");
        let root = environment.place.path();
        let site = std::path::Path::new("/").join(environment.site.strip_prefix(root).expect("below it"));
        let ended =
            run(environment.place.epcache(["refresh", "--no-seal", "--root", text(root), text(&site)]));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(given(&environment, "show"), ["added new"]);
    }
}

#[test]
fn upgrades_and_removals_are_events() {
    if !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(is_root());
    environment.register("show", "", SHOW);
    environment.registration("removals", "command = ['bin/show']\n[on]\nevents = ['removed']\n");
    environment.install("foo");
    assert_eq!(environment.refresh().err, "");
    fs::rename(environment.site.join("foo-1.dist-info"), environment.site.join("foo-2.dist-info"))
        .expect("ours");
    fs::remove_dir_all(environment.site.join("base-1.dist-info")).expect("ours");
    assert_eq!(environment.refresh().err, "");
    assert_eq!(given(&environment, "show"), ["removed base", "updated foo"]);
    assert_eq!(given(&environment, "removals"), ["removed base"]);
}

#[test]
fn a_journal_that_others_may_have_written_is_not_believed() {
    if !kernel::has_everything() {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    for environment in environments() {
        environment.register("show", "", SHOW);
        environment.install("foo");
        assert_eq!(environment.refresh().err, "");
        let journal = environment.site.join(".epcache/hook-journal");
        let evil = r#""changes":[{"event":"added","distribution":"evil","old_version":null,"version":null,"site":"/","gained":[],"lost":[],"changed":[],"opaque":false}]"#;
        let journal_text = fs::read_to_string(&journal).expect("a journal");
        let forged = journal_text.replace("\"changes\":[]", evil);
        assert_ne!(forged, journal_text);
        for directory_mode in [0o755, 0o775] {
            fs::write(&journal, &forged).expect("it is there");
            fs::set_permissions(&journal, fs::Permissions::from_mode(0o664)).expect("ours");
            environment.give_away();
            let directory = environment.site.join(".epcache");
            fs::set_permissions(&directory, fs::Permissions::from_mode(directory_mode)).expect("ours");
            environment.register("show", "", SHOW);
            environment.install("new");
            let ended = environment.refresh();
            assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
            let output = environment.output("show");
            assert!(!output.contains("evil") && output.contains("\"new\""), "{output}");
            fs::remove_dir_all(environment.site.join("new-1.dist-info")).expect("there");
            assert_eq!(environment.refresh().err, "");
        }
    }
}
