//! `run`: the command runs as usual, and the indexes are up to date afterwards.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::program::{Place, run, skipped_without_root, wait};
use crate::support::tree::{indexed, install};

/// `sh -c SCRIPT` run by `epcache run`.
fn shell(place: &Place, script: &str) -> Command {
    place.epcache(["run", "--", "sh", "-c", script])
}

fn environment(place: &Place, name: &str) -> PathBuf {
    place.directory(&format!("{name}/lib/python3.13/site-packages"))
}

/// A script that installs a distribution.
fn installation(site: &Path, name: &str) -> String {
    let directory = site.join(format!("{name}-1.dist-info"));
    format!(
        "mkdir -p {0} && printf 'Name: {name}\\nVersion: 1\\n' >{0}/METADATA",
        directory.to_str().expect("UTF-8")
    )
}

fn index(site: &Path) -> PathBuf {
    site.join(".epcache/index")
}

#[test]
fn every_exit_status_is_the_command_s() {
    let place = Place::new();
    for status in 0..=255 {
        let ended = run(shell(&place, &format!("exit {status}")));
        assert_eq!((ended.status, ended.out.as_str(), ended.err.as_str()), (Some(status), "", ""));
    }
}

#[test]
fn a_command_killed_by_a_signal_ends_with_128_and_its_number() {
    let place = Place::new();
    // Not those that are ignored by default, and not those that stop.
    for signal in (1..=64).filter(|signal| ![17, 18, 19, 20, 21, 22, 23, 28, 32, 33].contains(signal)) {
        let script = format!("kill -{signal} $$; sleep 5");
        let status = shell(&place, &script).current_dir(place.path()).status().expect("epcache starts");
        assert_eq!(status.code(), Some(128 + signal), "{status:?}");
    }
}

#[test]
fn a_command_that_cannot_be_run_is_reported_as_shells_do() {
    let place = Place::new();
    let (plain, directory) = (place.path().join("plain"), place.directory("directory"));
    fs::write(&plain, "text").expect("room");
    for (command, status, message) in [
        (Path::new("no-such-command"), 127, "no-such-command: no such command"),
        (&place.path().join("missing"), 127, "missing: no such command"),
        (&plain, 126, "plain: can't be executed: Permission denied"),
        (&directory, 126, "directory: can't be executed: Permission denied"),
        (&plain.join("below"), 126, "below: can't be executed: Not a directory"),
    ] {
        let ended = run(place.epcache(["run", "--"]).arg(command).env("PATH", "/usr/bin:/bin"));
        assert_eq!((ended.status, ended.out.as_str()), (Some(status), ""), "{ended:?}");
        assert!(ended.err.starts_with("epcache: error: ") && ended.err.contains(message), "{ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    }
    for arguments in [&["run"][..], &["run", "--"], &["run", "true"], &["run", "--nonsense", "--", "true"]] {
        assert_eq!(run(place.epcache(arguments)).status, Some(2), "{arguments:?}");
    }
}

#[test]
fn standard_streams_belong_to_the_command_alone() {
    let place = Place::new();
    let site = environment(&place, "venv");
    let start = Instant::now();
    let script = format!("cat; echo said >&2; {}", installation(&site, "foo"));
    let mut child = shell(&place, &script)
        .env("VIRTUAL_ENV", place.path().join("venv"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("epcache starts");
    child.stdin.take().expect("a pipe").write_all(b"typed\n").expect("it listens");
    let ended = wait(child, start);
    assert_eq!((ended.status, &*ended.out, &*ended.err), (Some(0), "typed\n", "said\n"));
    assert_eq!(indexed(&index(&site)), ["foo-1.dist-info"]);
}

#[test]
fn verbose_reports_refreshed_directories() {
    let place = Place::new();
    let site = environment(&place, "venv");
    let script = installation(&site, "foo");
    let ended = run(place.epcache(["run", "--verbose"]).arg(&site).args(["--", "sh", "-c", &script]));
    assert_eq!((ended.status, ended.out.as_str()), (Some(0), ""), "{ended:?}");
    let line = format!("epcache: {}: 1 added, 0 updated, 0 removed; ", site.display());
    assert!(ended.err.starts_with(&line) && ended.err.lines().count() == 1, "{ended:?}");
}

#[test]
fn the_command_inherits_the_process_state() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_epcache");
    // The state of a process: umask, signals, descriptors, environment, arguments.
    // Only the first 28 signals: posix_spawn of the C library ignores 32 and 33, which it uses itself.
    let print_state = "umask; grep -E '^Sig(Blk|Ign|Cgt)|^(Uid|Groups|Cap|NoNewPrivs)' /proc/self/status | \
                sed 's/^\\(Sig...\\):.*\\(.......\\)$/\\1 \\2/'; \
                ls -l /proc/self/fd | sed -n 's/.* \\([0-9]* -> \\)/\\1/p' | sed 's/[0-9]*\\(\\/fd\\|]\\)*$//'; \
                env | sort; cat /proc/$$/cmdline";
    for state in [
        "",
        "umask 077;",
        "umask 0; exec 7</etc/passwd 9>/dev/null;",
        "trap '' INT QUIT HUP TERM;",
        "trap '' HUP USR1; umask 027; exec 5</dev/zero;",
        "BLOCK=--block-signal=INT,QUIT,TERM,CHLD,USR1; IGNORE=--ignore-signal=INT,USR2;",
    ] {
        let run_as = |wrapper: &str| {
            let script =
                format!("{state} exec env $BLOCK $IGNORE {wrapper} sh -c \"$1\" x$(printf '\\377')y");
            let mut command = Command::new("sh");
            command.args(["-c", &script, program, print_state]).env_clear().env("PATH", "/usr/bin:/bin");
            let output = command.current_dir(place.path()).output().expect("a shell");
            assert!(output.status.success(), "{state} {wrapper}: {output:?}");
            output.stdout
        };
        let (plain, ours) = (run_as(""), run_as("\"$0\" run --"));
        assert!(plain.len() > 200, "{plain:?}");
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&plain), "{state}");
    }
}

#[test]
fn environments_are_found_by_variables_and_by_location() {
    let place = Place::new();
    let project = place.directory("repository/project");
    place.directory("repository/.git");
    let below = place.directory("repository/project/src/deep");
    for (name, variable, value, work) in [
        ("active", "VIRTUAL_ENV", "active", &below),
        ("conda", "CONDA_PREFIX", "conda", &below),
        ("uv", "UV_PROJECT_ENVIRONMENT", "uv", &below),
        ("repository/project/relative", "UV_PROJECT_ENVIRONMENT", "", &below),
        ("repository/project/relative", "UV_PROJECT_ENVIRONMENT", "", &project),
        ("repository/project/.venv", "NOTHING", "", &project),
        ("repository/project/.venv", "NOTHING", "", &below),
        ("repository/.venv", "NOTHING", "", &below),
        ("base", "PYTHONUSERBASE", "base", &below),
        ("home/.local", "NOTHING", "", &below),
    ] {
        let site = environment(&place, name);
        let value = if value.is_empty() { PathBuf::from("relative") } else { place.path().join(value) };
        let script = installation(&site, "foo");
        let ended = run(shell(&place, &script).env(variable, value).current_dir(work));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(indexed(&index(&site)), ["foo-1.dist-info"], "{name} by {variable}");
        fs::remove_dir_all(place.path().join(name)).expect("our own directory");
    }
}

#[test]
fn nothing_above_the_repository_is_refreshed() {
    let place = Place::new();
    let site = environment(&place, ".venv");
    place.directory("repository/.git");
    let below = place.directory("repository/project");
    assert_eq!(run(shell(&place, ":").current_dir(below)).status, Some(0));
    assert!(!index(&site).exists());
    let below = place.directory("elsewhere/project");
    assert_eq!(run(shell(&place, ":").current_dir(below)).status, Some(0));
    assert!(index(&site).exists());
}

#[test]
fn an_environment_that_the_command_makes_is_indexed_and_one_that_it_removes_is_no_error() {
    let place = Place::new();
    let old = environment(&place, "old");
    install(&old, "old");
    let project = place.directory("project");
    let new = project.join(".venv/lib/python3.13/site-packages");
    let script = format!("rm -r {}; {}", place.path().join("old").display(), installation(&new, "foo"));
    let ended =
        run(shell(&place, &script).env("VIRTUAL_ENV", place.path().join("old")).current_dir(&project));
    assert_eq!((ended.status, &*ended.err), (Some(0), ""), "{ended:?}");
    assert_eq!(indexed(&index(&new)), ["foo-1.dist-info"]);
}

#[test]
fn only_the_directories_that_are_named_are_refreshed() {
    let place = Place::new();
    let (active, named) = (environment(&place, "active"), environment(&place, "named"));
    let target = place.path().join("target");
    let script = format!("{}; {}", installation(&target, "foo"), installation(&named, "bar"));
    let mut command = place.epcache(["run", "--venv"]);
    command.arg(place.path().join("named")).arg(&target).args(["--", "sh", "-c", &script]);
    let ended = run(command.env("VIRTUAL_ENV", place.path().join("active")));
    assert_eq!((ended.status, &*ended.err), (Some(0), ""), "{ended:?}");
    assert_eq!(indexed(&index(&target)), ["foo-1.dist-info"]);
    assert_eq!(indexed(&index(&named)), ["bar-1.dist-info"]);
    assert!(!index(&active).exists());
}

#[test]
fn the_index_is_fresh_after_a_failed_command_and_after_edits_in_place() {
    let place = Place::new();
    let site = environment(&place, "venv");
    install(&site, "foo");
    std::thread::sleep(epcache::freshness::clock::SETTLE_AFTER);
    let fresh = || {
        let ended = run(place.epcache(["status"]).arg(&site));
        assert_eq!(ended.status, Some(0), "{ended:?}");
    };
    for (script, status) in [
        (format!("exit {}", 1), Some(1)),
        (
            format!("printf '[g]\\nfoo = m:x\\n' >{}/foo-1.dist-info/entry_points.txt", site.display()),
            Some(0),
        ),
        (format!("rm -r {}/foo-1.dist-info; kill -9 $$", site.display()), Some(137)),
    ] {
        let ended = run(shell(&place, &script).env("VIRTUAL_ENV", place.path().join("venv")));
        assert_eq!(ended.status, status, "{ended:?}");
        if status == Some(0) {
            // Younger distributions may still be incomplete.
            assert_eq!(run(place.epcache(["verify"]).arg(&site)).status, Some(0));
        } else {
            fresh();
        }
    }
    assert!(indexed(&index(&site)).is_empty());
}

#[test]
fn a_failed_refresh_is_reported_and_the_exit_status_stays_the_command_s() {
    let place = Place::new();
    let site = environment(&place, "venv");
    fs::write(site.join(".epcache"), "in the way").expect("room");
    for status in [0, 5] {
        let script = format!("exit {status}");
        let ended = run(shell(&place, &script).env("VIRTUAL_ENV", place.path().join("venv")));
        assert_eq!((ended.status, ended.out.as_str()), (Some(status), ""), "{ended:?}");
        assert!(ended.err.starts_with("epcache: error: ") && ended.err.contains(".epcache"), "{ended:?}");
    }
    let ended = run(place.epcache(["run", "/missing", "--", "sh", "-c", "exit 6"]));
    assert_eq!((ended.status, &*ended.err), (Some(6), "epcache: error: /missing: does not exist\n"));
}

#[test]
fn an_invalid_configuration_does_not_stop_the_command() {
    if skipped_without_root("mount") {
        return;
    }
    let place = Place::new();
    place.directory("etc/epcache");
    fs::write(place.path().join("etc/epcache/config.toml"), "nonsense = 1\n").expect("room");
    environment(&place, ".venv");
    let script = "mount --bind etc /etc || exit 99; \"$0\" run -- sh -c 'echo done; exit 4'";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_epcache")]).current_dir(place.path());
    let ended = run(&mut command);
    if ended.status == Some(99) {
        eprintln!("skipped: no right to mount: {ended:?}");
        return;
    }
    assert_eq!((ended.status, &*ended.out), (Some(4), "done\n"), "{ended:?}");
    assert!(ended.err.contains("config.toml") && ended.err.lines().count() == 1, "{ended:?}");
}

#[test]
fn arguments_need_not_be_utf_8_and_options_belong_to_the_command() {
    let place = Place::new();
    let odd = OsStr::from_bytes(b"\xff\xfe");
    let mut command = place.epcache(["run", "--", "printf", "%s|", "--verbose", "--", "-x"]);
    let output = command.arg(odd).output().expect("epcache starts");
    assert_eq!(output.stdout, b"--verbose|--|-x|\xff\xfe|");
}

#[test]
fn root_runs_the_command_as_root_and_refreshes_as_the_owner() {
    if skipped_without_root("give privileges up") {
        return;
    }
    let place = Place::new();
    let site = environment(&place, "venv");
    crate::support::tree::everything_below(&place.path().join("venv"))
        .into_keys()
        .for_each(|path| crate::support::program::give_away(&path));
    let script = format!("id -u; {}", installation(&site, "foo"));
    let ended = run(shell(&place, &script).env("VIRTUAL_ENV", place.path().join("venv")));
    assert_eq!((ended.status, &*ended.out, &*ended.err), (Some(0), "0\n", ""));
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(index(&site)).expect("an index"));
    assert_eq!(owner, crate::support::program::UNTRUSTED_UID);
}
