//! Writers that are killed, or that the system refuses something.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::program::{Ended, Place, is_root, run};
use crate::tree::{Tree, indexed, install, names};

/// epcache under strace, which does `injection` to it at the call that puts an index in its place.
fn with(injection: &str) -> Option<Command> {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: no strace on this machine");
        return None;
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2"]);
    command.args(["-e", &format!("inject=rename,renameat,renameat2:{injection}")]);
    command.arg(env!("CARGO_BIN_EXE_epcache"));
    Some(command)
}

/// What a reader would take from the index, which may be right, absent, or seen to be stale.
fn believed(site: &Path, index: &Path) -> Option<Vec<String>> {
    let bytes = fs::read(index).ok()?;
    let parsed = epcache::index::parse(&bytes).ok()?;
    let meta = fs::metadata(site).expect("it is there");
    let now = meta.ctime() * 1_000_000_000 + meta.ctime_nsec();
    (parsed.site.ctime == now).then(|| indexed(index))
}

#[test]
fn a_writer_that_is_killed_or_fails_leaves_nothing_wrong() {
    for injection in ["signal=KILL", "error=ENOSPC", "error=EROFS", "error=EIO"] {
        let Some(mut command) = with(injection) else { return };
        let place = Place::new();
        let site = place.directory("site");
        install(&site, "foo");
        let index = site.join(".epcache/index");
        let refresh = || run(place.epcache(["refresh", "--json"]).arg(&site));
        assert_eq!(refresh().status, Some(0));
        install(&site, "bar");
        let ended = run(command.args(["refresh", "--json"]).arg(&site));
        // Without root nobody is left behind to tell of it.
        let told = ended.status == Some(3) && ended.err.contains("error: ");
        assert!(told || !is_root() && injection == "signal=KILL", "{injection}: {ended:?}");
        assert_eq!(believed(&site, &index), None, "{injection}");
        assert_eq!(refresh().status, Some(0));
        assert_eq!(believed(&site, &index).expect("an index").len(), 2);
        assert_eq!(fs::read_dir(site.join(".epcache")).expect("a listing").count(), 2, "{injection}");
    }
}

#[test]
fn a_trigger_that_is_killed_or_fails_leaves_nothing_wrong_and_succeeds() {
    if crate::program::skipped_without_root("run a trigger") {
        return;
    }
    for injection in ["signal=KILL", "error=ENOSPC", "error=EROFS"] {
        let Some(mut command) = with(injection) else { return };
        let place = Place::new();
        let tree = Tree::new(&place);
        let file = install(&tree.site, "foo").join("entry_points.txt");
        let trigger = |command: &mut Command| -> Ended {
            let ended = run(command.args(["trigger", "dpkg", "--json"]).env("DPKG_ROOT", &tree.root));
            assert_eq!(ended.status, Some(0), "{injection}: {ended:?}");
            ended
        };
        trigger(&mut place.epcache([""; 0]));
        assert!(believed(&tree.site, &tree.index).is_some());
        // The site directory does not move, so that a reader could not see by itself that this is old.
        fs::write(file.with_extension("dpkg-new"), "[g]\nfoo = m:new\n").expect("room");
        fs::rename(file.with_extension("dpkg-new"), &file).expect("a rename");
        let ended = trigger(&mut command);
        assert!(ended.err.contains("error: "), "{injection}: {ended:?}");
        assert_eq!(believed(&tree.site, &tree.index), None, "{injection}: {ended:?}");
        let ended = trigger(&mut place.epcache([""; 0]));
        assert_eq!(names(&ended.out, "read"), ["foo-1.dist-info"], "{injection}");
        assert!(believed(&tree.site, &tree.index).is_some());
    }
}
