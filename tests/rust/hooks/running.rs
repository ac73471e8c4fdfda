//! How hooks run: as whom, with what input and surroundings, in which order.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Environment, environments};
use crate::confinement::kernel;
use crate::support::program::{UNTRUSTED_UID, is_root, run};
use crate::support::tree::text;

const SHOW: &str =
    "#!/bin/sh\ncat\nid -u\nprintf '%s\\n' \"$@\"\npwd\nls -ld . | cut -c1-10\nenv | sort\nulimit -c\n";

#[test]
fn a_hook_gets_the_changes_and_nothing_of_the_caller() {
    if !kernel::has_everything() {
        return;
    }
    for (number, environment) in environments().into_iter().enumerate() {
        environment.register("show", "", SHOW);
        environment.install("foo");
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let output = environment.output("show");
        let lines: Vec<&str> = output.lines().collect();
        let change: serde_json::Value = serde_json::from_str(lines[0]).expect("JSON");
        assert_eq!(change["event"], "added");
        assert_eq!(change["distribution"], "foo");
        assert_eq!(change["version"], "1");
        assert_eq!(change["site"], text(&environment.site));
        assert_eq!(change["gained"], serde_json::json!(["g"]));
        let uid = if is_root() && number == 0 { 0 } else { UNTRUSTED_UID };
        if is_root() {
            assert_eq!(lines[1], uid.to_string());
        }
        assert_eq!(lines[2], "word");
        let directory = lines[3];
        assert!(directory.starts_with("/tmp/epcache-hook."), "{directory}");
        assert_eq!(lines[4], "drwx------", "others can not enter it");
        assert!(!Path::new(directory).exists(), "it is removed");
        let variables = [
            "EPCACHE_HOOK=show".to_owned(),
            format!("HOME={directory}"),
            "LANG=C.UTF-8".to_owned(),
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            format!("PWD={directory}"),
            format!("TMPDIR={directory}"),
        ];
        assert_eq!(lines[5..], [&variables[..], &["0".to_owned()]].concat());
        assert!(environment.is_done("show"), "{}", environment.journal());
        // Nothing has changed, so nothing runs.
        let before = environment.journal();
        assert_eq!(environment.refresh().status, Some(0));
        assert_eq!(environment.journal(), before);
    }
}

#[test]
fn an_index_is_not_outdated_by_what_a_hook_writes_beside_it() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        let site = text(&environment.site);
        let script = format!("#!/bin/sh\nmkdir -p {site}/__pycache__\n");
        environment.register("compile", "[sandbox]\nwrite = ['{site}']\n", &script);
        environment.install("foo");
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert!(environment.site.join("__pycache__").exists(), "{}", environment.journal());
        let status = run(environment.place.epcache(["status", site]));
        assert!(!status.out.contains("stale"), "{status:?}");
        assert!(environment.is_done("compile"), "{}", environment.journal());
    }
}

#[test]
fn a_hook_that_fails_is_given_the_changes_again() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        environment.register("once", "", "#!/bin/sh\ncat\nexit 7\n");
        environment.install("foo");
        let ended = environment.refresh();
        let expected = "epcache: warning: hook once: exit status 7: {\"schema\":1,";
        assert!(ended.status == Some(0) && ended.err.starts_with(expected), "{ended:?}");
        assert!(ended.err.ends_with("; it runs again with the next refresh; hint: epcache hooks log once\n"));
        assert_eq!(ended.err.lines().count(), 1);
        environment.install("bar");
        environment.register("once", "", "#!/bin/sh\ncat\n");
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let names: Vec<serde_json::Value> = environment
            .output("once")
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON")["distribution"].clone()
            })
            .collect();
        assert_eq!(names, ["foo", "bar"]);
        assert!(environment.is_done("once"));
    }
}

#[test]
fn a_hook_that_keeps_failing_waits() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        let log = environment.prefix.join("shared/log");
        let script = format!("#!/bin/sh\necho x >> {}\nexit 1\n", text(&log));
        environment.register("bad", "[sandbox]\nwrite = ['shared']\n", &script);
        environment.install("foo");
        let epcache = |words: &[&str]| {
            run(environment.place.epcache(words.iter().chain(&["--venv", text(&environment.prefix)])))
        };
        // The directory does not exist.
        let ended = environment.refresh();
        let shared = text(log.parent().expect("a directory")).to_owned();
        let expected = format!(
            "epcache: warning: hook bad: {shared}: does not exist, and the hook is to write there; it"
        );
        assert!(ended.status == Some(0) && ended.err.starts_with(&expected), "{ended:?}");
        let (_, make) = ended.err.trim_end().rsplit_once("; hint: ").expect("a hint");
        let made = run(std::process::Command::new("sh").args(["-c", make]));
        assert_eq!(made.status, Some(0), "{make}: {made:?}");
        assert_eq!(std::fs::metadata(&shared).expect("made").uid(), environment.owner());
        let ended = environment.refresh();
        assert!(ended.err.contains("; it runs again with the next refresh; "), "{ended:?}");
        // A file that has changed in the second of the failure counts as changed afterwards.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let ended = environment.refresh();
        assert!(
            ended.err.contains("; it failed 3 times in a row, so it waits for 1 h, unless "),
            "{ended:?}"
        );
        let runs = || std::fs::read_to_string(&log).expect("a log").lines().count();
        assert_eq!(runs(), 2);
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str(), runs()), (Some(0), "", 2), "{ended:?}");
        let listed = epcache(&["hooks", "list"]);
        assert!(
            listed.out.contains("bad.toml: active: a test; failed 3 times in a row, so it waits until 2"),
            "{listed:?}"
        );
        let listed: serde_json::Value =
            serde_json::from_str(&epcache(&["hooks", "list", "--json"]).out).expect("JSON");
        let last = environment.journal()["hooks"]["bad"]["last"]["time"].as_u64().expect("a time");
        assert_eq!((&listed[0]["failures"], &listed[0]["waits_until"]), (&3.into(), &(last + 3600).into()));
        // By hand, it runs at once, and then waits longer.
        let ended = epcache(&["hooks", "run", "bad"]);
        assert!(
            ended.status == Some(3) && ended.err.contains(" 4 times in a row, so it waits for 2 h, "),
            "{ended:?}"
        );
        assert_eq!(runs(), 3);
        // Once it has changed, it is tried again, and gets all that it missed.
        environment.register("bad", "[sandbox]\nwrite = ['shared']\n", "#!/bin/sh\nwc -l\n");
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert_eq!(environment.output("bad"), "1\n");
        assert!(environment.is_done("bad"));
        assert_eq!(environment.journal()["hooks"]["bad"]["last"]["failures"], 0);
    }
}

#[test]
fn hooks_run_in_their_order_and_side_by_side_within_it() {
    if !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(is_root());
    let wait = |own: &str, other: &str| {
        format!(
            "#!/bin/sh\ntouch $0.x 2>/dev/null; touch ../../{own}; for i in 1 2 3 4 5 6 7 8 9; do [ -e {other} ] && exit 0; sleep 0.2; done; exit 1\n"
        )
    };
    let shared = environment.prefix.join("shared");
    std::fs::create_dir_all(shared.join("one")).expect("room");
    std::fs::create_dir_all(shared.join("two")).expect("room");
    environment.give_away();
    // Two of the same order wait for each other. They write to different places, and read each other's.
    for (own, other) in [("one", "two"), ("two", "one")] {
        let (own_file, other_file) = (shared.join(own).join("here"), shared.join(other).join("here"));
        let script =
            wait("", text(&other_file)).replace("touch ../../", &format!("touch {}", text(&own_file)));
        let lines = format!("[sandbox]\nread = ['shared']\nwrite = ['shared/{own}']\n");
        environment.register(own, &lines, &script);
    }
    // Those of a higher order come later, and of those that write to one place one runs after the other.
    let log = shared.join("log");
    std::fs::create_dir(&log).expect("room");
    for (name, order) in [("a-last", 9), ("b", 5), ("c", 5), ("z-early", 4)] {
        let script = format!(
            "#!/bin/sh\necho '{name} begins' >> {0}/log\nsleep 0.1\necho '{name} ends' >> {0}/log\n",
            text(&log)
        );
        environment.register(name, &format!("order = {order}\n[sandbox]\nwrite = ['shared/log']\n"), &script);
    }
    environment.install("foo");
    let ended = environment.refresh();
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?} {}", environment.journal());
    let expected: String =
        ["z-early", "b", "c", "a-last"].iter().map(|name| format!("{name} begins\n{name} ends\n")).collect();
    assert_eq!(std::fs::read_to_string(log.join("log")).expect("a log"), expected);
}

#[test]
fn a_function_is_called_by_the_interpreter_of_the_site_directory() {
    let Some(python) =
        ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|it| Path::new(it).exists())
    else {
        eprintln!("skipped: no interpreter");
        return;
    };
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        std::fs::create_dir_all(environment.prefix.join("bin")).expect("room");
        std::os::unix::fs::symlink(python, environment.prefix.join("bin/python3")).expect("room");
        let module = "import sys\ndef changed(changes):\n    for change in changes:\n        print(change.event, change.distribution, change.gained, sys.flags.isolated, __file__)\n";
        std::fs::write(environment.site.join("hooked.py"), module).expect("room");
        environment.registration("call", "python = 'hooked:changed'\n");
        environment.install("foo");
        let ended = environment.refresh();
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?} {}", environment.journal());
        let expected = format!("added foo ['g'] 1 {}/hooked.py\n", text(&environment.site));
        assert_eq!(environment.output("call"), expected);
        // Without one of its own, it is that of the system.
        std::fs::remove_file(environment.prefix.join("bin/python3")).expect("it is there");
        if Path::new("/usr/bin/python3").exists() {
            environment.install("bar");
            assert_eq!(environment.refresh().err, "", "{}", environment.journal());
            assert_eq!(environment.output("call"), expected.replace("foo", "bar"));
        }
    }
}

#[test]
fn without_hooks_they_run_the_next_time() {
    if !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(is_root());
    environment.register("show", "", SHOW);
    environment.install("foo");
    let ended = crate::support::program::run(environment.place.epcache([
        "refresh",
        "--no-hooks",
        text(&environment.site),
    ]));
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(!environment.is_done("show"));
    assert_eq!(environment.refresh().err, "");
    assert!(environment.is_done("show") && environment.output("show").contains("\"foo\""));
}

#[test]
fn hostile_metadata_is_one_line_of_json_for_a_hook() {
    if !kernel::has_everything() {
        return;
    }
    let environment = Environment::new(is_root());
    environment.register("show", "", "#!/bin/sh\ncat\n");
    for (directory, name) in [
        ("quo\"te\\-1.dist-info", "quo\"te\\"),
        ("two\nlines-1.dist-info", "two"),
        ("u\u{2028}v-1.dist-info", "u\u{2028}v"),
    ] {
        let directory = environment.site.join(directory);
        std::fs::create_dir(&directory).expect("room");
        std::fs::write(
            directory.join("METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1\"\\}}\n"),
        )
        .expect("room");
        std::fs::write(directory.join("entry_points.txt"), "[g\"}{\\n\u{2028}]\nx = m:f\n").expect("room");
    }
    environment.give_away();
    let ended = environment.refresh();
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let journal = environment.journal();
    // U+2028 is escaped in what is kept, so the line that was kept is not JSON any more.
    let output = environment.output("show");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 3, "{journal}");
    let is_change =
        |line: &&str| line.starts_with("{\"schema\":1,\"event\":\"added\",") && line.ends_with("}");
    assert!(lines.iter().all(is_change), "{output}");
    let plain: Vec<_> = lines.iter().filter(|line| !line.contains("u{2028}")).collect();
    assert!(plain.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{output}");
    assert!(output.contains("quo\\\"te\\\\"), "{output}");
}

#[test]
fn hooks_run_and_log_name_what_they_did() {
    if !kernel::has_everything() {
        return;
    }
    for environment in environments() {
        environment.register("good", "", "#!/bin/sh\nwc -l\necho $EPCACHE_EVERYTHING\n");
        environment.register("bad", "", "#!/bin/sh\nprintf '\\033[2J\\n'\nexit 3\n");
        environment.install("foo");
        let prefix = environment.prefix.clone();
        let epcache = |words: &[&str]| {
            let of = ["--venv", text(&prefix)];
            crate::support::program::run(environment.place.epcache(["hooks"].iter().chain(words).chain(&of)))
        };
        // Without an index of this change, nothing is written.
        let ended = epcache(&["run", "good", "--dry-run"]);
        assert_eq!(
            (ended.status, ended.out.as_str()),
            (Some(0), "good: would be given 2 distributions\n"),
            "{ended:?}"
        );
        assert_eq!(environment.journal(), serde_json::json!({}));
        let ended = epcache(&["log"]);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        let ended = epcache(&["run", "good"]);
        assert!(ended.status == Some(0) && ended.out.starts_with("good: succeeded in "), "{ended:?}");
        assert_eq!(environment.output("good"), "2\n1\n");
        assert!(environment.is_done("good") && !environment.is_done("bad"));
        // A part of it does not count as all of it.
        let ended = epcache(&["run", "--dist", "F?O"]);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert!(
            ended.out.contains("bad: exit status 3\n") && ended.out.contains("good: succeeded"),
            "{ended:?}"
        );
        assert_eq!(environment.output("good"), "1\n\n");
        assert!(!environment.is_done("bad"));
        let ended = epcache(&["log", "bad"]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.out.ends_with(": exit status 3; pending changes: 1\n    \\u{1b}[2J\n"), "{ended:?}");
        let ended = epcache(&["log", "--json"]);
        let rows: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(2), "{rows}");
        for words in
            [&["run", "none"][..], &["run", "--dist", "none"], &["log", "none"], &["run", "--dist", "["]]
        {
            let ended = epcache(words);
            assert!(ended.status == Some(3) && ended.err.starts_with("epcache: error: "), "{ended:?}");
        }
    }
}
