//! Standard streams that are closed, or whose reader has ended.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::program::{Place, run, wait};
use crate::support::tree::{indexed, install};

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
    for arguments in ["--help", "--version", "nonsense", "trigger nonsense"] {
        let script = format!("exec \"$0\" {arguments} >&- 2>&-");
        let ended = run(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_epcache")]));
        assert_eq!(ended.status, Some(if arguments == "nonsense" { 2 } else { 0 }), "{script}");
    }
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let place = Place::new();
    let site = place.directory("site");
    (0..300).for_each(|number| drop(install(&site, &format!("some-name-{number}"))));
    for arguments in [
        &["refresh", "--json"][..],
        &["refresh", "--full"],
        &["list", "--site"],
        &["list", "--json", "--site"],
        &["status"],
        &["verify"],
    ] {
        let (theirs, ours) = UnixStream::pair().expect("a pair");
        drop(theirs);
        let start = Instant::now();
        let child = place
            .epcache(arguments)
            .arg(&site)
            .stdin(Stdio::null())
            .stdout(OwnedFd::from(ours))
            .stderr(Stdio::piped())
            .spawn()
            .expect("epcache starts");
        let ended = wait(child, start);
        assert!(matches!(ended.status, Some(0 | 1)), "{arguments:?}: {ended:?}");
        assert!(!ended.err.contains("panicked") && !ended.err.contains("error"), "{arguments:?}: {ended:?}");
    }
}
