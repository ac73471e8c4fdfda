//! Standard streams that are closed or full, or whose reader has ended.

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::program::{Ended, Place, run, wait};
use crate::support::tree::{indexed, install};

/// Commands that print something, each about a site directory.
const PRINTING: [&[&str]; 8] = [
    &["refresh", "--full"],
    &["refresh", "--full", "--json"],
    &["refresh", "--dry-run"],
    &["list", "--site"],
    &["list", "--json", "--site"],
    &["status"],
    &["verify"],
    &["disable", "--json"],
];

/// Commands that print something and need no site directory.
const INFORMING: [&[&str]; 4] =
    [&["--help"], &["--version"], &["trigger", "--help"], &["status", "--sandbox"]];

#[test]
fn a_closed_stream_is_not_a_failure() {
    let place = Place::new();
    let site = place.directory("site");
    install(&site, "foo");
    for redirection in [">&-", "2>&-", "<&-", ">&- 2>&- <&-"] {
        for command in ["refresh --full", "refresh --full --json", "list --site", "verify"] {
            let script = format!("exec \"$0\" {command} \"$1\" {redirection}");
            let mut shell = Command::new("sh");
            shell.args(["-c", &script, env!("CARGO_BIN_EXE_epcache")]).arg(&site);
            let ended = run(shell);
            assert_eq!(ended.status, Some(0), "{script}: {ended:?}");
            assert!(!ended.err.contains("panicked"), "{script}: {ended:?}");
        }
        // No file of epcache has taken the number of a standard stream and been written to.
        assert_eq!(indexed(&site.join(".epcache/index")), ["foo-1.dist-info"]);
    }
    for (arguments, status) in [("--help", 0), ("--version", 0), ("nonsense", 2), ("trigger nonsense", 2)] {
        let script = format!("exec \"$0\" {arguments} >&- 2>&-");
        let mut shell = Command::new("sh");
        // Of a system without site directories.
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_epcache")]).env("DPKG_ROOT", place.path());
        assert_eq!(run(shell).status, Some(status), "{script}");
    }
}

#[test]
fn output_that_can_not_be_written_is_an_error() {
    let place = Place::new();
    let site = place.directory("site");
    (0..300).for_each(|number| drop(install(&site, &format!("some-name-{number}"))));
    let about_site = PRINTING.map(|arguments| (arguments, Some(&site)));
    for (arguments, site) in about_site.into_iter().chain(INFORMING.map(|arguments| (arguments, None))) {
        let (theirs, ours) = UnixStream::pair().expect("a pair");
        drop(theirs);
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a device");
        for (output, why) in [(OwnedFd::from(ours), "Broken pipe"), (full.into(), "No space left on device")]
        {
            let ended = write_to(output, place.epcache(arguments).args(site));
            assert_eq!(ended.status, Some(3), "{arguments:?}: {ended:?}");
            let message = format!("epcache: error: can't write to standard output: {why}");
            assert!(ended.err.contains(&message), "{arguments:?}: {ended:?}");
            assert!(!ended.err.contains("panicked"), "{arguments:?}: {ended:?}");
        }
    }
    assert_eq!(indexed(&site.join(".epcache/index")).len(), 300);
}

fn write_to(output: OwnedFd, command: &mut Command) -> Ended {
    let start = Instant::now();
    let command = command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    wait(command.spawn().expect("epcache starts"), start)
}

#[test]
fn a_trigger_succeeds_although_its_output_is_lost() {
    let place = Place::new();
    for arguments in ["dpkg", "dpkg --json"] {
        let script = format!("exec \"$0\" trigger {arguments} >/dev/full");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_epcache")]).env("DPKG_ROOT", place.path());
        let ended = run(shell);
        assert_eq!(ended.status, Some(0), "{script}: {ended:?}");
    }
}

#[test]
fn messages_to_the_journal_begin_with_their_priority() {
    let place = Place::new();
    let path = place.path().join("stream");
    let said = |stream: &str| {
        let file = File::create(&path).expect("a file");
        let mut command = place.epcache(["status"]);
        let missing = place.path().join("missing");
        command.arg(missing).env("JOURNAL_STREAM", stream).stdout(Stdio::null()).stderr(file);
        assert_eq!(command.status().expect("epcache starts").code(), Some(3));
        fs::read_to_string(&path).expect("messages")
    };
    let elsewhere = said("1:1");
    let message = elsewhere.strip_prefix("epcache: error: ").expect("a message for people");
    let found = fs::metadata(&path).expect("the file");
    assert_eq!(said(&format!("{}:{}", found.dev(), found.ino())), format!("<3>{message}"));
    // It was redirected after systemd had set the variable.
    assert_eq!(said(&format!("{}:{}", found.dev(), found.ino() + 1)), elsewhere);
}
